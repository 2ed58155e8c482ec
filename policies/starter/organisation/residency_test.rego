# Tests of residency. Regions that personal data is read from, and products it does not matter for.
package mesh.organisation_test

import data.mesh.organisation

resident := {id |
	organisation.require[id] == true
	id == "organisation.residency"
}

test_personal_data_in_a_listed_region_is_read if {
	"organisation.residency" in resident with input.product as {"residency": "eu"}
		with input.dataset as {"name": "records", "classes": [
			{"id": "c0", "classification": "confidential", "category": "contact", "tags": [], "mask": null},
		]}
}

test_personal_data_in_another_region_is_not if {
	count(resident) == 0 with input.product as {"residency": "us"}
		with input.dataset as {"name": "records", "classes": [
			{"id": "c0", "classification": "confidential", "category": "contact", "tags": [], "mask": null},
		]}
}

test_an_unstated_region_is_let_pass if {
	"organisation.residency" in resident with input.product as {"residency": null}
		with input.dataset as {"name": "records", "classes": [
			{"id": "c0", "classification": "confidential", "category": "contact", "tags": [], "mask": null},
		]}
}

test_what_is_not_personal_is_read_from_anywhere if {
	"organisation.residency" in resident with input.product as {"residency": "us"}
		with input.dataset as {"name": "records", "classes": [
			{"id": "c0", "classification": "internal", "category": null, "tags": [], "mask": null},
		]}
}
