# METADATA
# title: Layers
# description: Gathers what the organisation's and the domain's modules state; they can only restrict.
# schemas:
#   - input: schema.input
package mesh.layers

ranks := {"clear": 0, "generalise": 1, "partial": 2, "pseudonym": 3, "constant": 4, "null": 5, "drop": 6}

declared := {id | some id in data.mesh.declared.requirements}

met := {id | data.mesh.organisation.require[id] == true} | {id | data.mesh.domain.require[id] == true}

masks := {wish | some wish in data.mesh.organisation.masks} | {wish | some wish in data.mesh.domain.masks}

rows := {row | some row in data.mesh.organisation.rows} | {row | some row in data.mesh.domain.rows}

caps := {cap | some cap in data.mesh.organisation.limits} | {cap | some cap in data.mesh.domain.limits}

valid_until := {end | some end in data.mesh.organisation.valid_until} | {end | some end in data.mesh.domain.valid_until}

limits := smallest(caps)

smallest(found) := {} if count(found) == 0

# Compared by hand: rego-cpp's min, max and sort compare numbers as texts.
smallest(found) := {"rows": least} if {
	some cap in found
	least := cap.rows
	every other in found { least <= other.rows }
}

sound if {
	count(met - declared) == 0
	are_masks(masks, {class.id | some class in input.dataset.classes})
	are_rows(rows)
	are_limits(caps)
	are_instants(valid_until)
}

are_masks(found, classes) if {
	every wish in found {
		object.keys(wish) == {"class", "mask", "rule"}
		wish.class in classes
		wish.mask in object.keys(ranks)
		is_layered(wish.rule)
	}
}

are_rows(found) if {
	every row in found {
		object.keys(row) == {"filter", "rule"}
		is_layered(row.rule)
	}
}

# Text sorts above every number, so the upper bound also refuses what is no number.
are_limits(found) if {
	every cap in found {
		object.keys(cap) == {"rows"}
		cap.rows > 0
		cap.rows < 1000000000000
	}
}

are_instants(found) if {
	every end in found { glob.match(instant, [], end) }
}

# Whole seconds in UTC: such texts sort as the instants do, so they are compared as texts.
instant := "[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]Z"

is_layered(rule) if startswith(rule, "organisation.")

is_layered(rule) if startswith(rule, "domain.")
