# Limits. How many rows one statement reads of a dataset; the smallest limit that holds counts.
package mesh.domain

limits contains {"rows": 100000}

limits contains {"rows": 1000} if "trainees" in input.subject.teams
