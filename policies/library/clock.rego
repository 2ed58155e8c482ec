# METADATA
# title: Clock
# description: The time of a read, for layers; they hand in `input.now`, and state in `valid_until` when they turn.
package mesh.clock

# The day of the week in UTC, such as Monday.
weekday(now) := time.weekday(time.parse_rfc3339_ns(concat("", [trim_suffix(now, "Z"), "+00:00"])))

# The time of day in UTC, such as 09:30:00; such texts sort as the times do.
time_of_day(now) := trim_suffix(split(now, "T")[1], "Z")

# A time of day as an instant on the day of `now`.
today_at(now, time_of_day) := concat("", [split(now, "T")[0], "T", time_of_day, "Z"])

# The last instant of the day of `now`: at the latest then another day's rules hold.
midnight(now) := today_at(now, "23:59:59")
