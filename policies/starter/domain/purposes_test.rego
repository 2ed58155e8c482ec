# Tests of purposes. A dataset that is listed, and one that is not.
package mesh.domain_test

import data.mesh.domain

allowed := {id |
	domain.require[id] == true
	id == "domain.purpose"
}

test_a_listed_dataset_is_read_for_its_purposes if {
	"domain.purpose" in allowed with input.purpose as "safety"
		with input.dataset as {"name": "incidents", "classes": []}
}

test_a_listed_dataset_is_not_read_for_others if {
	count(allowed) == 0 with input.purpose as "planning"
		with input.dataset as {"name": "incidents", "classes": []}
}

test_another_dataset_is_read if {
	"domain.purpose" in allowed with input.purpose as "planning"
		with input.dataset as {"name": "routes", "classes": []}
}
