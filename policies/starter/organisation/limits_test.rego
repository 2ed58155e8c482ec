# Tests of limits. The limit for everybody, and the one for trainees.
package mesh.organisation_test

import data.mesh.organisation

test_everybody_has_a_limit if {
	organisation.limits == {{"rows": 1000000}} with input.subject as {"kind": "user", "id": "ana", "teams": ["ops"]}
}

test_trainees_have_another_one if {
	{"rows": 10000} in organisation.limits with input.subject as {"kind": "user", "id": "tom", "teams": ["trainees"]}
}

test_what_is_for_statistics_has_a_least_group if {
	{"group": 10} in organisation.limits with input.dataset as {"name": "stays", "classes": [
		{"id": "c0", "classification": "internal", "category": null, "tags": ["statistics"], "mask": null},
	]}
}
