# Tags. What the domain masks of its own columns, by the tags that its contracts give them.
package mesh.domain

# METADATA
# title: domain.sensitive
# description: Columns tagged sensitive are left empty for everybody but the domain's analysts.
masks contains {"rule": "domain.sensitive", "class": class.id, "mask": "null"} if {
	not analysing
	some class in input.dataset.classes
	"sensitive" in class.tags
}

analysing if "analysts" in input.subject.teams
