# METADATA
# title: Masks
# description: Chooses the strictest mask that the library, the contract or a layer wants for each column class.
# schemas:
#   - input: schema.input
package mesh.masks

import data.mesh.layers

mildest_first := ["clear", "generalise", "partial", "pseudonym", "constant", "null", "drop"]

# A class that no known mask fits gets none, and so the read is denied.
chosen := merged(library, layers.masks)

merged(own, wishes) := own if count(wishes) == 0

merged(own, wishes) := {id: choice |
	some id, before in own
	choice := strengthened(before, [wish | some wish in wishes; wish.class == id])
} if {
	count(wishes) > 0
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
strengthened(own, wishes) := {"mask": mildest_first[top], "rules": sort([id | some id in ids])} if {
	top := max({layers.ranks[own.mask]} | {layers.ranks[wish.mask] | some wish in wishes})
	strictest := mildest_first[top]
	ids := {id | some id in own.rules; own.mask == strictest} | {wish.rule | some wish in wishes; wish.mask == strictest}
}
