# Limits. How many rows one statement reads of a dataset; the smallest limit that holds counts.
package mesh.organisation

limits contains {"rows": 1000000}

limits contains {"rows": 10000} if "trainees" in input.subject.teams

# Data that is open for statistics only: counts and sums, and no group of fewer than ten persons.
limits contains {"group": 10} if {
	some class in input.dataset.classes
	"statistics" in class.tags
}
