package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// report collects what is printed at the end.
type report struct {
	held  []row      // what is wanted, and what it is
	cells [][]string // every figure
}

// row is a figure of ours held against what is wanted.
type row struct{ work, figure, ours, other, is, wanted, verdict string }

// ratio holds ours against another's figure: at most limit times that, or at
// least if more is better.
func (r *report) ratio(work, figure string, ours, other float64, of string, limit float64, more bool) {
	is, sign := ours/other, "≤"
	good := is <= limit
	if more {
		sign, good = "≥", is >= limit
	}
	r.held = append(r.held, row{work, figure, number(ours), of + " " + number(other), fmt.Sprintf("%.2f", is),
		fmt.Sprintf("%s %g", sign, limit), verdict(good)})
}

// bound holds a figure of ours against a number.
func (r *report) bound(work, figure string, ours, most float64) {
	r.held = append(r.held, row{work, figure, number(ours), "–", "–", "≤ " + number(most), verdict(ours <= most)})
}

func verdict(good bool) string {
	if good {
		return "yes"
	}
	return "**no**"
}

// number has three digits that count.
func number(f float64) string {
	switch {
	case f >= 100:
		return fmt.Sprintf("%.0f", f)
	case f >= 10:
		return fmt.Sprintf("%.1f", f)
	}
	return fmt.Sprintf("%.2f", f)
}

// figures notes what a program took.
func (r *report) figures(work, program string, cells ...string) {
	r.cells = append(r.cells, append([]string{work, program}, cells...))
}

// costs notes medians of CPU, wall clock and memory.
func (r *report) costs(work, program string, all []cost) {
	r.figures(work, program, fmt.Sprintf("CPU %s ms, wall %s ms, %s MB", number(median(all, cpu)), number(median(all, wall)), number(median(all, memory))))
}

func (r *report) size(program string) {
	if info, err := os.Stat(program); err == nil {
		r.figures("size", "ours", fmt.Sprintf("binary of %.1f MB", float64(info.Size())/1e6))
	}
}

func (r *report) print(w io.Writer, machine string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured on %s.\n\n", machine)
	if len(r.held) > 0 {
		b.WriteString("| work | figure | ours | held against | ratio | wanted | met |\n| --- | --- | --- | --- | --- | --- | --- |\n")
	}
	for _, h := range r.held {
		line(&b, h.work, h.figure, h.ours, h.other, h.is, h.wanted, h.verdict)
	}
	b.WriteString("\n| work | program | median |\n| --- | --- | --- |\n")
	for _, c := range r.cells {
		line(&b, c...)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func line(b *strings.Builder, cells ...string) {
	b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}
