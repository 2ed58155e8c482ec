# Classification. Which columns are masked, by their classification and category, and for whom they are not.
package mesh.organisation

# METADATA
# title: organisation.restricted
# description: Restricted columns are constant for everybody but those who look after data protection.
masks contains {"rule": "organisation.restricted", "class": class.id, "mask": "constant"} if {
	not protecting
	some class in input.dataset.classes
	class.classification == "restricted"
}

protecting if "data-protection" in input.subject.teams

# METADATA
# title: organisation.health
# description: Confidential health data is pseudonymised for any purpose but care.
masks contains {"rule": "organisation.health", "class": class.id, "mask": "pseudonym"} if {
	not caring
	some class in input.dataset.classes
	class.classification == "confidential"
	class.category == "health"
}

caring if input.purpose == "care"
