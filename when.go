package callsign

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// When is a time that comes again, in a policy's time zone. What it names must hold all together; one that names nothing is always.
type When struct {
	Days     []string `json:"days,omitempty" yaml:"days,omitempty" nullable:"false" doc:"mon, tue, wed, thu, fri, sat, sun"`
	From     string   `json:"from,omitempty" yaml:"from,omitempty" doc:"from this time of the day, like 22:00"`
	To       string   `json:"to,omitempty" yaml:"to,omitempty" doc:"to this one, like 07:00; one before from is of the next day, and days and dates are then those on which it began"`
	Dates    []string `json:"dates,omitempty" yaml:"dates,omitempty" nullable:"false" doc:"a date like 2026-10-01, several like 2026-10-01..2026-10-07, or one of each year like 12-25"`
	Holidays bool     `json:"holidays,omitempty" yaml:"holidays,omitempty" doc:"on the policy's holidays only"`
}

// How closely a When names a moment.
const (
	always    = 0
	weekly    = 1
	onHoliday = 2
	onDate    = 3
	untilEnd  = 4 // a status lasts until its own end
)

// moment is a time as a policy sees it.
type moment struct {
	now              time.Time
	minute           int // of the day
	today, yesterday date
	holiday, after   bool // today is one, yesterday was
}

// date is a day as 20261001, with its weekday.
type date struct {
	day     int
	weekday time.Weekday
}

func dateOf(t time.Time) date {
	y, m, d := t.Date()
	return date{y*10000 + int(m)*100 + d, t.Weekday()}
}

// calendar is a time zone with its holidays.
type calendar struct {
	zone     *time.Location
	holidays dates
}

func (c *calendar) moment(now time.Time) moment {
	local := now.In(c.zone)
	m := moment{now: local, minute: local.Hour()*60 + local.Minute(), today: dateOf(local)}
	y, month, d := local.Date()
	m.yesterday = dateOf(time.Date(y, month, d-1, 12, 0, 0, 0, time.UTC))
	m.holiday, m.after = c.holidays.has(m.today.day), c.holidays.has(m.yesterday.day)
	return m
}

func parseCalendar(zone string, holidays []string) (c calendar, err error) {
	if zone == "" {
		zone = "UTC"
	}
	if c.zone, err = time.LoadLocation(zone); err != nil || zone == "Local" {
		return c, fmt.Errorf("time_zone is %q: write a name like Asia/Shanghai", zone)
	}
	c.holidays, err = parseDates("holidays", holidays)
	return c, err
}

// dates are ranges of days, as 20261001; of each year as 1225.
type dates [][2]int

func (ds dates) has(day int) bool {
	for _, d := range ds {
		if d[0] <= day && day <= d[1] || d[0] < 10000 && d[0] == day%10000 {
			return true
		}
	}
	return false
}

func parseDates(where string, list []string) (ds dates, err error) {
	for _, item := range list {
		first, last, several := strings.Cut(item, "..")
		if !several {
			last = first
		}
		from, errFrom := time.Parse(time.DateOnly, first)
		to, errTo := time.Parse(time.DateOnly, last)
		switch yearly, err := time.Parse("2006-01-02", "2000-"+item); { // a leap year: 02-29 is a date
		case errFrom == nil && errTo == nil && !to.Before(from):
			ds = append(ds, [2]int{dateOf(from).day, dateOf(to).day})
		case err == nil && !several:
			ds = append(ds, [2]int{dateOf(yearly).day % 10000, 0})
		default:
			return nil, fmt.Errorf("%s has %q: write a date like 2026-10-01, several like 2026-10-01..2026-10-07, or one of each year like 12-25", where, item)
		}
	}
	return ds, nil
}

// window is a compiled When.
type window struct {
	days     [7]bool
	anyDay   bool
	from, to int // minutes of the day; both 0: all day
	dates    dates
	holidays bool
	rank     int
}

// holds tells whether it is the window's time. Of one that goes over midnight the day is that on which it began.
func (w *window) holds(m *moment) bool {
	day, holiday := m.today, m.holiday
	switch {
	case w.from == w.to:
	case w.from < w.to:
		if m.minute < w.from || m.minute >= w.to {
			return false
		}
	case m.minute < w.to:
		day, holiday = m.yesterday, m.after
	case m.minute < w.from:
		return false
	}
	return (w.anyDay || w.days[day.weekday]) && (!w.holidays || holiday) && (w.dates == nil || w.dates.has(day.day))
}

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

func (w When) parse(where string) (out window, err error) {
	out.anyDay, out.holidays = len(w.Days) == 0, w.Holidays
	for _, d := range w.Days {
		i := slices.Index(weekdays, d)
		if i < 0 {
			return out, fmt.Errorf("%s: days has %q: use mon, tue, wed, thu, fri, sat or sun", where, d)
		}
		out.days[i] = true
	}
	if out.from, err = minuteOf(w.From, 0); err == nil {
		out.to, err = minuteOf(w.To, 24*60)
	}
	if err != nil || (w.From != "" || w.To != "") && out.from == out.to {
		return out, fmt.Errorf("%s is from %q to %q: write two times of the day, like 09:00 and 18:00", where, w.From, w.To)
	}
	if out.dates, err = parseDates(where+": dates", w.Dates); err != nil {
		return out, err
	}
	switch {
	case out.dates != nil:
		out.rank = onDate
	case out.holidays:
		out.rank = onHoliday
	case !out.anyDay || w.From != "" || w.To != "":
		out.rank = weekly
	}
	return out, nil
}

func minuteOf(s string, otherwise int) (int, error) {
	if s == "" {
		return otherwise, nil
	}
	if s == "24:00" {
		return 24 * 60, nil
	}
	t, err := time.Parse("15:04", s)
	return t.Hour()*60 + t.Minute(), err
}
