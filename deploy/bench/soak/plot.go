package main

import (
	"fmt"
	"os"
	"strings"
)

// plot writes an SVG of what the node took over the time, a panel for each.
func plot(path string, list []sample) error {
	const width, panel, left, right, top, gap = 760.0, 130.0, 60.0, 20.0, 40.0, 40.0
	panels := []struct {
		column int
		unit   float64
		name   string
	}{
		{resident, 1e6, "resident memory, MB"}, {heap, 1e6, "of it heap in use, MB"}, {goroutines, 1, "goroutines"}, {files, 1, "open files"}, {failed, 1, "failed calls"},
	}
	last := list[len(list)-1]
	x := func(s sample) float64 { return left + s[seconds]/last[seconds]*(width-left-right) }
	height := top + float64(len(panels))*(panel+gap)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" font-family="sans-serif" font-size="12">`+"\n", width, height)
	fmt.Fprintf(&b, `<rect width="%g" height="%g" fill="white"/>`+"\n", width, height)
	fmt.Fprintf(&b, `<text x="%g" y="20" font-size="14">%.0f minutes, %.0f calls, %.0f texts, %.0f pushes, %.0f reads</text>`+"\n",
		left, last[seconds]/60, last[sent], last[accepted], last[pushed], last[reads])
	for i, p := range panels {
		bottom := top + float64(i)*(panel+gap) + panel
		most := 1.0
		for _, s := range list {
			most = max(most, s[p.column]/p.unit*1.1)
		}
		y := func(v float64) float64 { return bottom - v/most*(panel-20) }
		fmt.Fprintf(&b, `<text x="%g" y="%.1f">%s</text>`+"\n", left, bottom-panel+10, p.name)
		for _, v := range []float64{0, most / 2, most} {
			fmt.Fprintf(&b, `<path d="M%g %.1fH%g" stroke="#ddd"/><text x="%g" y="%.1f" text-anchor="end">%.0f</text>`+"\n", left, y(v), width-right, left-8, y(v)+4, v)
		}
		var points []string
		for _, s := range list {
			points = append(points, fmt.Sprintf("%.1f,%.1f", x(s), y(s[p.column]/p.unit)))
		}
		fmt.Fprintf(&b, `<polyline points="%s" fill="none" stroke="#06c" stroke-width="1.5"/>`+"\n", strings.Join(points, " "))
	}
	for part := range 7 {
		s := sample{seconds: last[seconds] * float64(part) / 6}
		fmt.Fprintf(&b, `<text x="%.1f" y="%g" text-anchor="middle">%.1f min</text>`+"\n", x(s), height-gap+18, s[seconds]/60)
	}
	b.WriteString("</svg>\n")
	return os.WriteFile(path, []byte(b.String()), 0o644)
}
