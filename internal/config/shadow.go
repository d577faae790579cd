package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"greengate/internal/deploy"
	"greengate/internal/scenario"
)

// shadow reads how live traffic is compared: a share alone, or a mapping.
func (d *decoder) shadow(to **deploy.Shadow) setter {
	return func(n *node, field string) {
		s := deploy.DefaultShadow()
		*to = &s
		if n.scalar() { // shadow: 10%
			d.percentUpTo(&s.Percent, 100)(n, field)
			return
		}
		d.fields(n, field, map[string]setter{
			"percent":           d.percentUpTo(&s.Percent, 100),
			"for":               d.duration(&s.For),
			"minimum":           d.integer(&s.Minimum),
			"headers":           d.words(&s.Headers, headerFault),
			"ignore":            d.words(&s.Ignore, ignoreFault),
			"max_differing":     d.share(&s.MaxDiffering),
			"max_latency_ratio": d.ratio(&s.MaxLatencyRatio),
		})
	}
}

// shadowOnly refuses settings of the other kinds: no program is run.
func (d *decoder) shadowOnly(field string) {
	for _, key := range []string{"env", "dir"} {
		if _, ok := d.at[field+"."+key]; ok {
			d.fault(field+"."+key, "is not for a shadow; it runs no program of yours")
		}
	}
}

// ratio reads how many times something may be as much.
func (d *decoder) ratio(to *float64) setter {
	return func(n *node, field string) {
		if !d.expect(n, field, "a number such as 3", kindNumber) {
			return
		}
		f, err := strconv.ParseFloat(n.text, 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			d.fault(field, "%q is not a number; write for example 3 or 1.5", n.text)
			return
		}
		*to = f
	}
}

// words reads a list of texts, each of which must be without the fault that is looked for.
func (d *decoder) words(to *[]string, fault func(string) string) setter {
	return func(n *node, field string) {
		if n.kind != kindList {
			d.fault(field, "must be a list, not %s", n.kind)
			return
		}
		*to = []string{}
		for i, item := range n.items {
			at := fmt.Sprintf("%s[%d]", field, i)
			var word string
			d.word(&word)(item, at)
			if d.blamed(at) {
				continue
			}
			if why := fault(word); why != "" {
				d.fault(at, "%s", why)
			}
			*to = append(*to, word)
		}
	}
}

func headerFault(name string) string {
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("()<>@,;:\\\"/[]?={}", r) }) {
		return fmt.Sprintf("%q is not the name of a header", name)
	}
	return ""
}

func ignoreFault(place string) string {
	if _, err := scenario.NewComparer(nil, []string{place}); err != nil {
		return err.Error()
	}
	return ""
}
