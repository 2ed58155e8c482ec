# Tests of classification. Who sees restricted and health columns, and as what.
package mesh.organisation_test

import data.mesh.organisation

test_restricted_columns_are_constant_for_others if {
	organisation.masks == {{"rule": "organisation.restricted", "class": "c1", "mask": "constant"}} with input.purpose as "planning"
		with input.subject as {"kind": "user", "id": "ana", "teams": ["ops"]}
		with input.dataset as {"name": "records", "classes": [
			{"id": "c0", "classification": "internal", "category": null, "tags": [], "mask": null},
			{"id": "c1", "classification": "restricted", "category": "identity", "tags": [], "mask": "pseudonym"},
		]}
}

test_data_protection_sees_restricted_columns_as_the_contract_says if {
	count(organisation.masks) == 0 with input.purpose as "planning"
		with input.subject as {"kind": "user", "id": "bea", "teams": ["data-protection"]}
		with input.dataset as {"name": "records", "classes": [
			{"id": "c0", "classification": "restricted", "category": "identity", "tags": [], "mask": "pseudonym"},
		]}
}

test_health_is_pseudonymised_for_planning if {
	organisation.masks == {{"rule": "organisation.health", "class": "c1", "mask": "pseudonym"}} with input.purpose as "planning"
		with input.subject as {"kind": "user", "id": "ana", "teams": []}
		with input.dataset as {"name": "records", "classes": [
			{"id": "c0", "classification": "confidential", "category": "contact", "tags": [], "mask": null},
			{"id": "c1", "classification": "confidential", "category": "health", "tags": [], "mask": null},
		]}
}

test_health_is_not_masked_more_for_care if {
	count(organisation.masks) == 0 with input.purpose as "care"
		with input.subject as {"kind": "user", "id": "ana", "teams": []}
		with input.dataset as {"name": "records", "classes": [
			{"id": "c0", "classification": "confidential", "category": "health", "tags": [], "mask": null},
		]}
}
