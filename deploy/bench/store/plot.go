package main

import (
	"fmt"
	"math"
	"os"
	"strings"
)

// line is what was measured at each number of subscribers.
type line struct {
	name, colour string
	rates        []float64
}

// plot writes an SVG of rates over numbers of subscribers, which stand on a logarithmic axis.
func plot(path string, sizes []int, lines []line) error {
	const width, height, left, right, top, bottom = 720.0, 360.0, 70.0, 200.0, 20.0, 45.0
	most := 0.0
	for _, l := range lines {
		for _, r := range l.rates {
			most = max(most, r)
		}
	}
	step := math.Pow(10, math.Floor(math.Log10(most)))
	if most/step < 3 {
		step /= 2
	}
	ceiling := math.Ceil(most/step) * step
	from, to := math.Log(float64(sizes[0])), math.Log(float64(sizes[len(sizes)-1]))
	x := func(n int) float64 { return left + (math.Log(float64(n))-from)/max(to-from, 1e-9)*(width-left-right) }
	y := func(rate float64) float64 { return height - bottom - rate/ceiling*(height-top-bottom) }

	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" font-family="sans-serif" font-size="12">`+"\n", width, height)
	fmt.Fprintf(&b, `<rect width="%g" height="%g" fill="white"/>`+"\n", width, height)
	for rate := 0.0; rate <= ceiling; rate += step {
		fmt.Fprintf(&b, `<path d="M%g %.1fH%g" stroke="#ddd"/><text x="%g" y="%.1f" text-anchor="end">%.0f</text>`+"\n",
			left, y(rate), width-right, left-8, y(rate)+4, rate)
	}
	for _, n := range sizes {
		fmt.Fprintf(&b, `<text x="%.1f" y="%g" text-anchor="middle">%d</text>`+"\n", x(n), height-bottom+18, n)
	}
	fmt.Fprintf(&b, `<text x="%g" y="%g" text-anchor="middle">subscribers</text>`+"\n", (left+width-right)/2, height-8)
	fmt.Fprintf(&b, `<text transform="translate(14 %g) rotate(-90)" text-anchor="middle">a second</text>`+"\n", (height-bottom)/2)
	for _, l := range lines {
		var points []string
		for i, r := range l.rates {
			points = append(points, fmt.Sprintf("%.1f,%.1f", x(sizes[i]), y(r)))
		}
		fmt.Fprintf(&b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.Join(points, " "), l.colour)
		fmt.Fprintf(&b, `<text x="%g" y="%.1f" fill="%s">%s</text>`+"\n", width-right+8, y(l.rates[len(l.rates)-1])+4, l.colour, l.name)
	}
	b.WriteString("</svg>\n")
	return os.WriteFile(path, []byte(b.String()), 0o644)
}
