# Tests of limits. The limit for everybody, and the one for trainees.
package mesh.domain_test

import data.mesh.domain

test_everybody_has_a_limit if {
	domain.limits == {{"rows": 100000}} with input.subject as {"kind": "user", "id": "ana", "teams": ["ops"]}
}

test_trainees_have_another_one if {
	{"rows": 1000} in domain.limits with input.subject as {"kind": "user", "id": "tom", "teams": ["trainees"]}
}
