package console

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"greengate/internal/deploy"
)

// Sizes of the drawings in units of their view boxes.
const (
	chartWidth  = 640
	chartHeight = 96
	barWidth    = 400
)

// weightPoint is a share of production traffic from a time on.
type weightPoint struct {
	At    time.Time
	Green int
}

// trafficChart is the share of the new version over time.
type trafficChart struct {
	// Line and Area are paths of SVG.
	Line, Area string
	Points     []weightPoint
	From, To   string // times at the ends
	Says       string // the chart in words
}

// traffic draws how production moved; nil where it never did.
func (m deploymentModel) traffic(now time.Time) *trafficChart {
	end := now
	if !m.D.CompletedAt.IsZero() {
		end = m.D.CompletedAt
	}
	points := []weightPoint{{m.D.CreatedAt, 0}}
	for _, e := range m.Events {
		if w, ok := deploy.ParseWeights(e.Message); ok && e.Kind == deploy.RecordWeights {
			points = append(points, weightPoint{e.At, w.Green})
		}
	}
	if !slices.ContainsFunc(points, func(p weightPoint) bool { return p.Green > 0 }) {
		return nil
	}
	begin := points[0].At
	span := max(end.Sub(begin), time.Millisecond)
	x := func(t time.Time) float64 { return float64(chartWidth) * float64(t.Sub(begin)) / float64(span) }
	y := func(green int) float64 { return 4 + float64(chartHeight-8)*float64(100-green)/100 }
	var line strings.Builder
	fmt.Fprintf(&line, "M0 %.1f", y(points[0].Green))
	for _, p := range points[1:] {
		fmt.Fprintf(&line, "H%.1fV%.1f", x(p.At), y(p.Green))
	}
	fmt.Fprintf(&line, "H%d", chartWidth)
	c := &trafficChart{
		Line: line.String(), Area: line.String() + fmt.Sprintf("V%dH0Z", chartHeight-4), Points: points,
		From: clock(begin), To: clock(end),
	}
	last := points[len(points)-1]
	c.Says = fmt.Sprintf("Share of production traffic that the new version had: %d changes, at last %d percent since %s.", len(points)-1, last.Green, clock(last.At))
	return c
}

// sides are the versions behind the weights. Blue is the old one, also where a rollback leads back to it.
type sides struct{ Blue, Green string }

func sidesOf(d deploy.DeploymentView) sides {
	s := sides{d.From, d.To}
	if d.Kind == deploy.KindRollback {
		s = sides{d.To, d.From}
	}
	if s.Blue == "" {
		s.Blue = "old version"
	}
	s.Green = orDash(s.Green)
	return s
}

// ledgerBar is the requests of one version by outcome, drawn to scale.
type ledgerBar struct {
	deploy.LedgerVersion
	Name  string
	Side  string // "blue", "green" or ""
	Parts []ledgerPart
	Other int64 // in flight
}

type ledgerPart struct {
	Class, Says string
	N           int64
	X, Width    string
}

// ledger draws the counters of a deployment's ledger.
func (m deploymentModel) ledger() []ledgerBar {
	most := int64(1)
	for _, v := range m.Ledger {
		most = max(most, v.Requests)
	}
	var bars []ledgerBar
	s := sidesOf(m.D)
	for _, v := range m.Ledger {
		b := ledgerBar{LedgerVersion: v, Name: v.Version, Other: v.Requests - v.Served - v.Failed - v.Cut - v.ClientCut}
		switch {
		case v.TaskSet == "":
			b.Name = "no version"
		case v.Version == s.Green:
			b.Side = "green"
		case v.Version == s.Blue:
			b.Side = "blue"
		}
		var parts []ledgerPart
		for _, p := range []ledgerPart{
			{Class: "served", Says: "served", N: v.Served},
			{Class: "failed", Says: "failed", N: v.Failed},
			{Class: "cut", Says: "cut", N: v.Cut},
			{Class: "left", Says: "client left", N: v.ClientCut},
			{Class: "flight", Says: "in flight", N: b.Other},
		} {
			if p.N <= 0 {
				continue
			}
			parts = append(parts, p)
		}
		b.Parts = placed(parts, float64(barWidth)*float64(v.Requests)/float64(most))
		bars = append(bars, b)
	}
	return bars
}

// thinnest is the width of a part that would not be seen at its true one: a single failed request matters.
const thinnest = 4

// placed lays parts side by side, as wide as their shares of a bar.
func placed(parts []ledgerPart, bar float64) []ledgerPart {
	var total, widths float64
	for _, p := range parts {
		total += float64(p.N)
	}
	wide := make([]float64, len(parts))
	for i, p := range parts {
		wide[i] = max(thinnest, bar*float64(p.N)/total)
		widths += wide[i]
	}
	at, scale := 0.0, min(1, max(bar, thinnest*float64(len(parts)))/max(widths, 1))
	for i := range parts {
		parts[i].X, parts[i].Width = fmt.Sprintf("%.1f", at), fmt.Sprintf("%.1f", wide[i]*scale)
		at += wide[i] * scale
	}
	return parts
}
