# Tests of tags. Who sees columns tagged sensitive.
package mesh.domain_test

import data.mesh.domain

test_sensitive_columns_are_empty_for_others if {
	domain.masks == {{"rule": "domain.sensitive", "class": "c1", "mask": "null"}} with input.subject as {"kind": "user", "id": "ana", "teams": ["ops"]}
		with input.dataset as {"name": "records", "classes": [
			{"id": "c0", "classification": "internal", "category": null, "tags": ["pii"], "mask": null},
			{"id": "c1", "classification": "internal", "category": null, "tags": ["sensitive"], "mask": null},
		]}
}

test_analysts_see_them if {
	count(domain.masks) == 0 with input.subject as {"kind": "user", "id": "bea", "teams": ["analysts"]}
		with input.dataset as {"name": "records", "classes": [
			{"id": "c0", "classification": "internal", "category": null, "tags": ["sensitive"], "mask": null},
		]}
}
