# Rows. Which rows of a dataset are read; filters are structured, never SQL.
package mesh.domain

# METADATA
# title: domain.closed
# description: Incidents that are still looked into are read by the domain's analysts only.
rows contains {"rule": "domain.closed", "filter": {"column": "status", "op": "eq", "value": "closed"}} if {
	input.dataset.name == "incidents"
	not investigating
}

investigating if "analysts" in input.subject.teams
