# Tests of purposes. Categories that are read for a purpose, and those that are not.
package mesh.organisation_test

import data.mesh.organisation

limited := {id |
	organisation.require[id] == true
	id == "organisation.purpose_limitation"
}

test_categories_that_all_allow_the_purpose_are_read if {
	"organisation.purpose_limitation" in limited with input.purpose as "audit"
		with input.dataset as {"name": "records", "classes": [
			{"id": "c0", "classification": "confidential", "category": "contact", "tags": [], "mask": null},
			{"id": "c1", "classification": "confidential", "category": "financial", "tags": [], "mask": null},
			{"id": "c2", "classification": "internal", "category": null, "tags": [], "mask": null},
		]}
}

test_one_category_that_does_not_allow_it_denies if {
	count(limited) == 0 with input.purpose as "planning"
		with input.dataset as {"name": "records", "classes": [
			{"id": "c0", "classification": "confidential", "category": "contact", "tags": [], "mask": null},
			{"id": "c1", "classification": "confidential", "category": "financial", "tags": [], "mask": null},
		]}
}

test_an_unlisted_category_denies if {
	count(limited) == 0 with input.purpose as "planning"
		with input.dataset as {"name": "records", "classes": [
			{"id": "c0", "classification": "internal", "category": "genome", "tags": [], "mask": null},
		]}
}
