package telemetry

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"greengate/internal/deploy"
)

// dashboard is what the example uses of Grafana's dashboard JSON (Grafana documentation, "Dashboard JSON model"). Members
// that Grafana would pass over without a word are refused here.
type dashboard struct {
	ID            *int
	Title, UID    string
	SchemaVersion int
	Time          struct{ From, To string }
	Refresh       string
	Templating    struct {
		List []struct {
			Name, Type, Query, Label string
			IncludeAll, Multi        bool
			Refresh                  int
			Datasource               *source
		}
	}
	Panels []panel
}

type source struct{ Type, UID string }

type panel struct {
	ID          int
	Type, Title string
	GridPos     struct{ X, Y, W, H int }
	FieldConfig struct {
		Defaults  struct{ Unit string }
		Overrides []any
	}
	Datasource source
	Targets    []struct{ RefID, Expr, LegendFormat string }
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	file, err := os.Open("../../examples/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var d dashboard
	decoder := json.NewDecoder(file)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestDashboard_form: the example has what an import into Grafana needs, and its panels do not lie on each other.
func TestDashboard_form(t *testing.T) {
	t.Parallel()
	d := readDashboard(t)
	if d.ID != nil || d.Title == "" || !regexp.MustCompile(`^[A-Za-z0-9_-]{1,40}$`).MatchString(d.UID) || d.SchemaVersion < 36 {
		t.Errorf("id %v, title %q, uid %q, schemaVersion %d", d.ID, d.Title, d.UID, d.SchemaVersion)
	}
	variables := map[string]string{}
	for _, v := range d.Templating.List {
		variables["${"+v.Name+"}"] = v.Type
		if v.Datasource != nil && variables[v.Datasource.UID] != "datasource" {
			t.Errorf("the variable %s asks %+v", v.Name, v.Datasource)
		}
	}
	taken := map[[2]int]string{}
	ids := map[int]bool{}
	for _, p := range d.Panels {
		if p.ID <= 0 || ids[p.ID] || p.Title == "" || !slices.Contains([]string{"stat", "timeseries"}, p.Type) || len(p.Targets) == 0 {
			t.Errorf("panel %d %q has the type %q and %d queries", p.ID, p.Title, p.Type, len(p.Targets))
		}
		ids[p.ID] = true
		if p.Datasource.Type != "prometheus" || variables[p.Datasource.UID] != "datasource" {
			t.Errorf("%s asks %+v", p.Title, p.Datasource)
		}
		refs := map[string]bool{}
		for _, q := range p.Targets {
			if q.RefID == "" || refs[q.RefID] {
				t.Errorf("%s: refId %q", p.Title, q.RefID)
			}
			refs[q.RefID] = true
		}
		g := p.GridPos
		if g.X < 0 || g.Y < 0 || g.W < 1 || g.H < 1 || g.X+g.W > 24 { // Grafana's grid has 24 columns
			t.Errorf("%s lies at %+v", p.Title, g)
		}
		for x := range g.W {
			for y := range g.H {
				at := [2]int{g.X + x, g.Y + y}
				if other, ok := taken[at]; ok {
					t.Fatalf("%s lies on %s", p.Title, other)
				}
				taken[at] = p.Title
			}
		}
	}
}

// everywhere is a source with all statuses and outcomes.
type everywhere struct{}

func statuses() []deploy.Status {
	return []deploy.Status{deploy.StatusCreated, deploy.StatusInProgress, deploy.StatusReady, deploy.StatusSucceeded, deploy.StatusFailed, deploy.StatusStopped}
}

func (everywhere) Statuses(context.Context) (map[deploy.Status]int64, error) {
	all := map[deploy.Status]int64{}
	for _, s := range statuses() {
		all[s] = 1
	}
	return all, nil
}

func (everywhere) Traffic(ctx context.Context) ([]Traffic, error) { return fixed{}.Traffic(ctx) }

// exported is what /metrics has once everything has happened: the labels of each series by its name, and the values of a
// label.
func exported(t *testing.T) (labels map[string][]string, values map[string]map[string]bool) {
	t.Helper()
	m, err := New(everywhere{})
	if err != nil {
		t.Fatal(err)
	}
	m.Phase(deploy.PhaseInstall, time.Second)
	m.Verdict(deploy.Verdict{Kind: deploy.HookCommand, Event: "AfterInstall", Status: deploy.VerdictPass})
	for _, s := range statuses() {
		m.End(deploy.Deployment{Kind: deploy.KindDeploy, Status: s, Plan: deploy.Plan{Service: "shop"}})
	}
	text, err := m.Text()
	if err != nil {
		t.Fatal(err)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	labels, values = map[string][]string{}, map[string]map[string]bool{}
	for name, f := range families {
		for _, series := range f.GetMetric() {
			var names []string
			for _, l := range series.GetLabel() {
				names = append(names, l.GetName())
				key := name + " " + l.GetName()
				if values[key] == nil {
					values[key] = map[string]bool{}
				}
				values[key][l.GetValue()] = true
			}
			if series.GetHistogram() == nil {
				labels[name] = names
				continue
			}
			labels[name+"_bucket"] = append(slices.Clone(names), "le")
			labels[name+"_sum"], labels[name+"_count"] = names, names
		}
	}
	return labels, values
}

// query is what an expression of PromQL names. It reads the part of the language that the dashboard uses, and refuses the
// rest.
type query struct {
	metrics  []string
	by       []string // labels that are aggregated by
	matchers []matcher
	vars     []string
}

type matcher struct{ metric, label, op, value string }

var (
	tokens = regexp.MustCompile(`^(?:\s+|[A-Za-z_:][A-Za-z0-9_:]*|\$[A-Za-z_]+|"[^"\\]*"|[0-9.]+|=~|!~|!=|[-+*/(){}\[\],=])`)
	name   = regexp.MustCompile(`^[A-Za-z_:]`)
)

func readQuery(expr string) (query, error) {
	var list []string
	for rest := expr; rest != ""; {
		tok := tokens.FindString(rest)
		if tok == "" {
			return query{}, fmt.Errorf("%q is not understood from %q on", expr, rest)
		}
		if rest = rest[len(tok):]; strings.TrimSpace(tok) != "" {
			list = append(list, tok)
		}
	}
	list = append(list, "")
	var q query
	depth := 0
	for i := 0; i < len(list)-1; i++ {
		switch tok := list[i]; {
		case tok == "(":
			depth++
		case tok == ")":
			depth--
		case tok == "{":
			end := i + slices.Index(list[i:], "}")
			if end < i || len(q.metrics) == 0 || i == 0 || list[i-1] != q.metrics[len(q.metrics)-1] {
				return q, fmt.Errorf("%q: braces without a metric, or without an end", expr)
			}
			found, err := readMatchers(list[i-1], list[i+1:end])
			if err != nil {
				return q, fmt.Errorf("%q: %w", expr, err)
			}
			q.matchers = append(q.matchers, found...)
			i = end
		case tok == "[":
			q.vars = append(q.vars, list[i+1])
			i += 2
		case tok == "by" && list[i+1] == "(":
			end := i + max(0, slices.Index(list[i:], ")"))
			q.by = append(q.by, slices.DeleteFunc(slices.Clone(list[i+2:max(end, i+2)]), func(tok string) bool { return tok == "," })...)
			i = max(end, i+1)
		case tok == "or", !name.MatchString(tok):
		case list[i+1] == "(" || list[i+1] == "by":
			if !slices.Contains([]string{"sum", "max", "rate", "increase", "histogram_quantile", "vector"}, tok) {
				return q, fmt.Errorf("%q: the function %s is not known", expr, tok)
			}
		default:
			q.metrics = append(q.metrics, tok)
		}
	}
	if depth != 0 {
		return q, fmt.Errorf("%q: the parentheses do not match", expr)
	}
	return q, nil
}

// readMatchers reads what stands in the braces behind a metric.
func readMatchers(metric string, list []string) ([]matcher, error) {
	var found []matcher
	for j := 0; j < len(list); j += 4 { // label op "value" ,
		if j+2 >= len(list) || !name.MatchString(list[j]) || !strings.HasPrefix(list[j+2], `"`) || j+3 < len(list) && list[j+3] != "," {
			return nil, fmt.Errorf("a matcher is not understood at %q", list[j])
		}
		found = append(found, matcher{metric, list[j], list[j+1], strings.Trim(list[j+2], `"`)})
	}
	return found, nil
}

// TestReadQuery: what is wrong is not read as if it were right.
func TestReadQuery(t *testing.T) {
	t.Parallel()
	q, err := readQuery(`sum by (le, a) (rate(x_bucket{a=~"$s",b!="2"}[$__range])) or vector(0)`)
	if err != nil || fmt.Sprint(q) != `{[x_bucket] [le a] [{x_bucket a =~ $s} {x_bucket b != 2}] [$__range]}` {
		t.Errorf("%v %v", q, err)
	}
	for _, wrong := range []string{`sum(x`, `x{a="1"`, `{a="1"}`, `sun(x)`, `x{a}`, `x{a="1" b="2"}`, `x @ 5`, `sum(x))`} {
		if q, err := readQuery(wrong); err == nil {
			t.Errorf("%s was read as %v", wrong, q)
		}
	}
}

var legend = regexp.MustCompile(`\{\{\s*([a-z_]+)\s*\}\}`)

// faults are the metrics, labels and values that are not exported.
func (q query) faults(labels map[string][]string, values map[string]map[string]bool) []string {
	var faults []string
	for _, m := range q.metrics {
		have, ok := labels[m]
		if !ok {
			faults = append(faults, "there is no metric "+m)
		}
		for _, l := range q.by {
			if !slices.Contains(have, l) {
				faults = append(faults, fmt.Sprintf("%s has no label %s, but %q", m, l, have))
			}
		}
	}
	for _, m := range q.matchers {
		if !slices.Contains(labels[m.metric], m.label) {
			faults = append(faults, fmt.Sprintf("%s has no label %s", m.metric, m.label))
		}
		for value := range strings.SplitSeq(m.value, "|") {
			if !strings.HasPrefix(value, "$") && !values[m.metric+" "+m.label][value] {
				faults = append(faults, fmt.Sprintf("%s never has %s=%q", m.metric, m.label, value))
			}
		}
	}
	return faults
}

// unknown are the variables that nobody sets, and what a legend names that is not there.
func (q query) unknown(known []string, format string) []string {
	vars := slices.Clone(q.vars)
	for _, m := range q.matchers {
		if strings.HasPrefix(m.value, "$") {
			vars = append(vars, m.value)
		}
	}
	var faults []string
	for _, v := range vars {
		if !slices.Contains(known, v) {
			faults = append(faults, "there is no variable "+v)
		}
	}
	for _, l := range legend.FindAllStringSubmatch(format, -1) {
		if !slices.Contains(q.by, l[1]) {
			faults = append(faults, "the legend names "+l[1]+", by which is not aggregated")
		}
	}
	return faults
}

// TestDashboard_queries: whatever the dashboard asks for is exported, with the labels and the values that it names.
func TestDashboard_queries(t *testing.T) {
	t.Parallel()
	d := readDashboard(t)
	labels, values := exported(t)
	known := []string{"$__rate_interval", "$__range"}
	for _, v := range d.Templating.List {
		known = append(known, "$"+v.Name)
		if m := regexp.MustCompile(`^label_values\((\w+), (\w+)\)$`).FindStringSubmatch(v.Query); v.Type == "query" && (m == nil || !slices.Contains(labels[m[1]], m[2])) {
			t.Errorf("the variable %s asks for %s", v.Name, v.Query)
		}
	}
	asked := map[string]bool{}
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			q, err := readQuery(target.Expr)
			if err != nil || len(q.metrics) == 0 {
				t.Errorf("%s: %v", p.Title, err)
			}
			for _, fault := range append(q.faults(labels, values), q.unknown(known, target.LegendFormat)...) {
				t.Errorf("%s: %s", p.Title, fault)
			}
			for _, m := range q.metrics {
				asked[m] = true
			}
		}
	}
	for m := range labels {
		base := strings.TrimSuffix(strings.TrimSuffix(m, "_sum"), "_count")
		if strings.HasPrefix(m, "greengate_") && !asked[m] && !asked[base+"_bucket"] && m != "greengate_scrape_errors_total" {
			t.Errorf("no panel shows %s", m)
		}
	}
}
