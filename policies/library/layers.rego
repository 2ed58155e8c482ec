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

limits := strictest(caps)

strictest(found) := {} if count(found) == 0

strictest(found) := object.union(fewest, largest) if {
	count(found) > 0
	rows_of := {cap.rows | some cap in found}
	groups_of := {cap.group | some cap in found}
	fewest := {"rows": number | some number in rows_of; fewer_than(number, rows_of) == 0}
	largest := {"group": number | some number in groups_of; more_than(number, groups_of) == 0}
}

# Numbers are compared, since one of the engines orders them as texts in min and max.
fewer_than(number, numbers) := count({other | some other in numbers; other < number})

more_than(number, numbers) := count({other | some other in numbers; other > number})

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

are_limits(found) if {
	every cap in found { is_limit(cap) }
}

# Text sorts above every number, so the upper bounds also refuse what is no number.
is_limit(cap) if {
	object.keys(cap) == {"rows"}
	cap.rows > 0
	cap.rows < 1000000000000
}

# A group of one person is that person.
is_limit(cap) if {
	object.keys(cap) == {"group"}
	cap.group > 1
	cap.group < 1000000000
}

are_instants(found) if {
	every end in found { glob.match(instant, [], end) }
}

# Whole seconds in UTC: such texts sort as the instants do, so they are compared as texts.
instant := "[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]Z"

is_layered(rule) if startswith(rule, "organisation.")

is_layered(rule) if startswith(rule, "domain.")
