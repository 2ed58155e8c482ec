# Working hours. When people read restricted columns; services and agents read them at any time.
package mesh.organisation

import data.mesh.clock

opening := "06:00:00"

closing := "20:00:00"

# METADATA
# title: organisation.working_hours
# description: People read restricted columns from Monday to Friday, from 06:00 to 20:00 UTC.
require["organisation.working_hours"] if open

require["organisation.working_hours"] if input.subject.kind in {"agent", "service"}

require["organisation.working_hours"] if count(restricted) == 0

open if {
	clock.weekday(input.now) in {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday"}
	opening <= clock.time_of_day(input.now)
	clock.time_of_day(input.now) < closing
}

restricted := {class.id |
	some class in input.dataset.classes
	class.classification == "restricted"
}

# When the answer may change by itself: at the next of these.
valid_until contains turn if {
	some turn in {
		clock.today_at(input.now, opening),
		clock.today_at(input.now, closing),
		clock.midnight(input.now),
	}
	input.now < turn
}
