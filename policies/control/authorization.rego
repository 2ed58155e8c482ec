# METADATA
# title: Control
# description: Decides who may call which method of the control plane; a method in no table is denied.
# schemas:
#   - input: schema.control
package mesh.control

# METADATA
# title: Authorization
# description: Allows when one of the tables lists the method for this caller.
# entrypoint: true
authorization := {"allow": allow}

default allow := false

allow if open_methods[input.method]

allow if {
	is_person
	person_methods[input.method]
}

allow if {
	is_agent
	agent_methods[input.method]
}

allow if {
	is_person
	some duty in input.caller.duties
	duty_methods[input.method][duty]
}

allow if {
	is_person
	some kind, _ in domain_duty_methods[input.method]
	some duty in input.caller.duties
	split(duty, ":") == [kind, input.domain]
}

# What the call is about shows in its body only, so that the service checks the domain itself.
allow if {
	is_person
	some kind, _ in any_domain_duty_methods[input.method]
	some duty in input.caller.duties
	split(duty, ":")[0] == kind
}

is_person if input.caller.kind == "user"

is_person if input.caller.kind == "service"

is_agent if input.caller.kind == "agent"
