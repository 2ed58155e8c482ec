package mesh.control_test

import data.mesh.control

publish := "/mesh.v1.ContractService/PublishContract"

join := "/mesh.v1.AgentService/CreateJoinToken"

test_nobody_may_ask_for_health if {
	control.authorization == {"allow": true} with input as {
		"method": "/grpc.health.v1.Health/Check",
		"caller": null,
		"domain": null,
	}
}

test_nobody_may_enrol_an_agent_with_a_proof if {
	control.authorization.allow with input as {
		"method": "/mesh.v1.AgentService/EnrolAgent",
		"caller": null,
		"domain": null,
	}
}

test_nobody_may_list_products if {
	control.authorization == {"allow": false} with input as {
		"method": "/mesh.v1.ContractService/ListProducts",
		"caller": null,
		"domain": null,
	}
}

test_an_unknown_method_is_denied_to_admin if {
	control.authorization == {"allow": false} with input as {
		"method": "/mesh.v1.ContractService/Unknown",
		"caller": {"kind": "user", "id": "admin", "teams": [], "duties": ["admin"]},
		"domain": null,
	}
}

test_an_empty_input_is_denied if {
	control.authorization == {"allow": false} with input as {}
}

test_a_user_without_duties_may_list_products if {
	control.authorization.allow with input as {
		"method": "/mesh.v1.ContractService/ListProducts",
		"caller": {"kind": "user", "id": "ana", "teams": [], "duties": []},
		"domain": null,
	}
}

test_a_service_may_list_products if {
	control.authorization.allow with input as {
		"method": "/mesh.v1.ContractService/ListProducts",
		"caller": {"kind": "service", "id": "bi", "teams": [], "duties": []},
		"domain": null,
	}
}

test_an_agent_may_not_list_products if {
	control.authorization == {"allow": false} with input as {
		"method": "/mesh.v1.ContractService/ListProducts",
		"caller": {"kind": "agent", "id": "bookings/bookings-1", "teams": [], "duties": []},
		"domain": null,
	}
}

test_an_agent_may_sync if {
	control.authorization.allow with input as {
		"method": "/mesh.v1.AgentService/Sync",
		"caller": {"kind": "agent", "id": "bookings/bookings-1", "teams": [], "duties": []},
		"domain": null,
	}
}

test_admin_may_not_sync if {
	control.authorization == {"allow": false} with input as {
		"method": "/mesh.v1.AgentService/Sync",
		"caller": {"kind": "user", "id": "admin", "teams": [], "duties": ["admin"]},
		"domain": null,
	}
}

test_an_agent_may_publish if {
	control.authorization.allow with input as {
		"method": publish,
		"caller": {"kind": "agent", "id": "bookings/bookings-1", "teams": [], "duties": []},
		"domain": null,
	}
}

test_admin_may_publish if {
	control.authorization.allow with input as {
		"method": publish,
		"caller": {"kind": "user", "id": "admin", "teams": [], "duties": ["admin"]},
		"domain": null,
	}
}

test_an_owner_may_publish if {
	control.authorization.allow with input as {
		"method": publish,
		"caller": {"kind": "user", "id": "olga", "teams": [], "duties": ["owner:bookings"]},
		"domain": null,
	}
}

test_a_steward_may_not_publish if {
	control.authorization == {"allow": false} with input as {
		"method": publish,
		"caller": {"kind": "user", "id": "sam", "teams": [], "duties": ["steward:bookings"]},
		"domain": null,
	}
}

test_a_duty_of_the_domain_makes_join_tokens if {
	control.authorization.allow with input as {
		"method": join,
		"caller": {"kind": "user", "id": "sam", "teams": [], "duties": ["auditor", "steward:bookings"]},
		"domain": "bookings",
	}
}

test_a_duty_of_another_domain_makes_no_join_tokens if {
	control.authorization == {"allow": false} with input as {
		"method": join,
		"caller": {"kind": "user", "id": "sam", "teams": [], "duties": ["owner:fleet"]},
		"domain": "bookings",
	}
}

test_a_duty_of_no_domain_makes_no_join_tokens if {
	control.authorization == {"allow": false} with input as {
		"method": join,
		"caller": {"kind": "user", "id": "sam", "teams": [], "duties": ["owner:fleet"]},
		"domain": null,
	}
}

test_an_agent_with_duties_gets_nothing_from_them if {
	control.authorization == {"allow": false} with input as {
		"method": join,
		"caller": {"kind": "agent", "id": "bookings/bookings-1", "teams": [], "duties": ["admin"]},
		"domain": "bookings",
	}
}

test_a_steward_may_add_a_purpose if {
	control.authorization.allow with input as {
		"method": "/mesh.v1.PurposeService/AddPurpose",
		"caller": {"kind": "user", "id": "sam", "teams": [], "duties": ["steward:bookings"]},
		"domain": null,
	}
}

test_an_auditor_may_not_add_a_purpose if {
	control.authorization == {"allow": false} with input as {
		"method": "/mesh.v1.PurposeService/AddPurpose",
		"caller": {"kind": "user", "id": "aud", "teams": [], "duties": ["auditor"]},
		"domain": null,
	}
}

test_an_opa_fetches_the_bundle_of_its_domain if {
	control.authorization.allow with input as {
		"method": "/opa/bundles",
		"caller": {"kind": "service", "id": "opa-bookings", "teams": [], "duties": ["opa:bookings"]},
		"domain": "bookings",
	}
}

test_an_opa_of_another_domain_writes_no_log if {
	control.authorization == {"allow": false} with input as {
		"method": "/opa/logs",
		"caller": {"kind": "service", "id": "opa-fleet", "teams": [], "duties": ["opa:fleet"]},
		"domain": "bookings",
	}
}

test_an_opa_makes_no_join_tokens if {
	control.authorization == {"allow": false} with input as {
		"method": join,
		"caller": {"kind": "service", "id": "opa-bookings", "teams": [], "duties": ["opa:bookings"]},
		"domain": "bookings",
	}
}
