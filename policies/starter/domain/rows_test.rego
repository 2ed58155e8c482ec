# Tests of rows. Who sees open incidents, and that other datasets have no filter.
package mesh.domain_test

import data.mesh.domain

test_open_incidents_are_left_out_for_others if {
	domain.rows == {{
		"rule": "domain.closed",
		"filter": {"column": "status", "op": "eq", "value": "closed"},
	}} with input.dataset as {"name": "incidents", "classes": []}
		with input.subject as {"kind": "user", "id": "ana", "teams": []}
}

test_analysts_see_every_incident if {
	count(domain.rows) == 0 with input.dataset as {"name": "incidents", "classes": []}
		with input.subject as {"kind": "user", "id": "bea", "teams": ["analysts"]}
}

test_other_datasets_have_no_filter if {
	count(domain.rows) == 0 with input.dataset as {"name": "routes", "classes": []}
		with input.subject as {"kind": "user", "id": "ana", "teams": []}
}
