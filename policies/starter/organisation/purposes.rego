# Purposes. For which purposes each category of data may be read.
package mesh.organisation

# METADATA
# title: organisation.purpose_limitation
# description: A category of the dataset's columns may not be read for this purpose.
require["organisation.purpose_limitation"] if {
	every category in categories { input.purpose in purposes_of[category] }
}

# A category that is not listed here is read for no purpose at all.
purposes_of := {
	"contact": {"audit", "customer-service", "planning"},
	"financial": {"accounting", "audit"},
	"health": {"care", "planning"},
	"identity": {"audit", "customer-service", "planning"},
	"location": {"planning"},
}

categories := {class.category |
	some class in input.dataset.classes
	is_string(class.category)
}
