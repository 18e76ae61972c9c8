package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		in   []float64
		want float64
	}{
		{nil, 0},
		{[]float64{7}, 7},
		{[]float64{9, 1, 5}, 5},     // not in order
		{[]float64{4, 1, 2, 90}, 3}, // an outlier moves it little
	} {
		if got := median(c.in, func(f float64) float64 { return f }); got != c.want {
			t.Errorf("median of %v is %g, not %g", c.in, got, c.want)
		}
	}
}

func TestMiddle(t *testing.T) {
	for _, rates := range [][]float64{{1}, {3, 1, 2}, {2, 3, 1}, {1, 2, 3}} {
		var all []drained
		for _, r := range rates {
			all = append(all, drained{rate: r, connections: int(r)})
		}
		want := []float64{1, 2}[min(1, len(rates)-1)]
		if got := middle(all); got.rate != want || got.connections != int(want) {
			t.Errorf("middle of %v is %+v", rates, got)
		}
	}
}

// What falls short must say so.
func TestVerdicts(t *testing.T) {
	var r report
	r.ratio("w", "at the bound", 6, 10, "peer", 0.6, false)
	r.ratio("w", "above", 7, 10, "peer", 0.6, false)
	r.ratio("w", "fast enough", 15, 10, "peer", 1.5, true)
	r.ratio("w", "too slow", 14, 10, "peer", 1.5, true)
	r.bound("w", "at most", 16, 16)
	r.bound("w", "more", 16.1, 16)
	r.costs("w", "ours", []cost{{wall: 3 * time.Millisecond, cpu: 2 * time.Millisecond, memory: 2048}})
	var out bytes.Buffer
	if err := r.print(&out, "a machine"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| w | at the bound | 6.00 | peer 10.0 | 0.60 | ≤ 0.6 | yes |",
		"| w | above | 7.00 | peer 10.0 | 0.70 | ≤ 0.6 | **no** |",
		"| w | fast enough | 15.0 | peer 10.0 | 1.50 | ≥ 1.5 | yes |",
		"| w | too slow | 14.0 | peer 10.0 | 1.40 | ≥ 1.5 | **no** |",
		"| w | at most | 16.0 | – | – | ≤ 16.0 | yes |",
		"| w | more | 16.1 | – | – | ≤ 16.0 | **no** |",
		"| w | ours | CPU 2.00 ms, wall 3.00 ms, 2.00 MB |",
	} {
		if !strings.Contains(out.String(), want+"\n") {
			t.Errorf("not in the report: %s\n%s", want, &out)
		}
	}
}

// Ours in the list of ten thousand are genuine.
func TestFillSpool(t *testing.T) {
	dir := t.TempDir()
	b := &bench{root: dir}
	input, err := b.message("m", "To: ops@bench.test\n", 100)
	if err != nil {
		t.Fatal(err)
	}
	if err := fillSpool(dir+"/spool", input, 3); err != nil {
		t.Fatal(err)
	}
	s, err := openSpool(dir + "/spool")
	if err != nil {
		t.Fatal(err)
	}
	all, strangers, err := s.All()
	if err != nil || len(all) != 3 || len(strangers) != 0 {
		t.Fatalf("%d messages, strangers %v, %v", len(all), strangers, err)
	}
	for _, e := range all {
		if state, err := s.Read(e); err != nil || state.Recipients[0].Address != recipient {
			t.Errorf("%s: %+v, %v", e.ID, state, err)
		}
	}
}
