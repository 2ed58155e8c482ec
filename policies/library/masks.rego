# METADATA
# title: Masks
# description: Chooses the strictest mask that the library, the contract or a layer wants for each column class.
# schemas:
#   - input: schema.input
package mesh.masks

import data.mesh.layers

mildest_first := ["clear", "generalise", "partial", "pseudonym", "constant", "null", "drop"]

# A class that no known mask fits gets none, and so the read is denied.
chosen := library if count(layers.masks) == 0

chosen := {id: choice |
	some id, own in library
	choice := strengthened(own, [wish | some wish in layers.masks; wish.class == id])
} if {
	count(layers.masks) > 0
}

# METADATA
# title: library.classification
# description: The mildest mask that the column's classification permits.
floors := {"public": "clear", "internal": "clear", "confidential": "generalise", "restricted": "pseudonym"}

classified := {class.id | some class in input.dataset.classes; floors[class.classification]}

library := object.union(declared, undeclared)

declared := {class.id: choice |
	some class in input.dataset.classes
	is_string(class.mask)
	choice := stricter(layers.ranks[floors[class.classification]], layers.ranks[class.mask])
}

undeclared := {class.id: choice |
	some class in input.dataset.classes
	is_null(class.mask)
	choice := fallbacks[class.classification]
}

# METADATA
# title: library.undeclared
# description: The mask of a confidential or restricted column whose contract declares none.
fallbacks := {
	"public": {"mask": "clear", "rules": ["library.classification"]},
	"internal": {"mask": "clear", "rules": ["library.classification"]},
	"confidential": {"mask": "null", "rules": ["library.undeclared"]},
	"restricted": {"mask": "drop", "rules": ["library.undeclared"]},
}

# METADATA
# title: library.contract
# description: The mask that the contract declares for the column.
stricter(floor, wish) := {"mask": mildest_first[wish], "rules": ["library.contract"]} if floor < wish

stricter(floor, wish) := {"mask": mildest_first[wish], "rules": ["library.classification", "library.contract"]} if {
	floor == wish
}

stricter(floor, wish) := {"mask": mildest_first[floor], "rules": ["library.classification"]} if floor > wish

# The mask of a class after a layer's wishes for it, each an object of rule and mask.
strengthened(own, wishes) := {"mask": mildest_first[top], "rules": sort(rules)} if {
	top := max({layers.ranks[own.mask]} | {layers.ranks[wish.mask] | some wish in wishes})
	mask := mildest_first[top]
	rules := {rule | some rule in own.rules; own.mask == mask} | {wish.rule | some wish in wishes; wish.mask == mask}
}
