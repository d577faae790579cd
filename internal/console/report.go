package console

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"net/http"
	"time"

	"greengate/internal/deploy"
)

// report is the evidence of a deployment in one document.
type report struct {
	Made       time.Time              `json:"made"`
	Deployment deploy.DeploymentView  `json:"deployment"`
	Events     []deploy.HistoryEvent  `json:"events"`
	Ledger     []deploy.LedgerVersion `json:"ledger"`
	Targets    []deploy.TaskSetView   `json:"targets"`
	// Logs are the last lines of its hooks, by their names.
	Logs map[string][]string `json:"logs"`
	// Unknown says what could not be read.
	Unknown []string `json:"unknown,omitempty"`
}

func (c *Console) loadReport(r *http.Request, v visitor) (deploymentModel, error) {
	model, err := c.loadDeployment(r.Context(), v, placeOf(r))
	if err != nil {
		return deploymentModel{}, err
	}
	m, _ := model.(deploymentModel) // it makes no other
	m.D.Actions = nil
	return m, nil
}

// reportJSON is the report for programs.
func (c *Console) reportJSON(w http.ResponseWriter, r *http.Request, v visitor) {
	m, err := c.loadReport(r, v)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	doc := report{Made: c.cfg.Now().UTC(), Deployment: m.D, Events: m.Events, Ledger: m.Ledger, Targets: m.Targets, Logs: map[string][]string{}, Unknown: m.Unknown}
	for name, l := range m.Logs {
		doc.Logs[name] = l.Lines
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Disposition", `attachment; filename="`+fileName(m.D.ID)+`.json"`)
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(doc) // a browser that left needs no answer
}

// reportPage is the report for people: one file that needs nothing else.
func (c *Console) reportPage(w http.ResponseWriter, r *http.Request, v visitor) {
	m, err := c.loadReport(r, v)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	style := c.assets["console.css"].body
	var b bytes.Buffer
	data := struct {
		pageData
		Style template.CSS
	}{c.pageData(r, v, m.D.Service+" "+m.D.To+", "+m.D.ID, m), template.CSS(style)} //nolint:gosec // our own style sheet
	if err := c.pages["report"].ExecuteTemplate(&b, "report", data); err != nil {
		c.fail(w, r, v, err)
		return
	}
	h := w.Header()
	// Of all that is inline only our own style sheet is let in.
	sum := sha256.Sum256(inlined(b.Bytes()))
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Disposition", `inline; filename="`+fileName(m.D.ID)+`.html"`)
	_, _ = w.Write(b.Bytes()) // a browser that left needs no answer
}

// inlined is what stands in the style element of a page.
func inlined(page []byte) []byte {
	_, rest, _ := bytes.Cut(page, []byte("<style>"))
	style, _, _ := bytes.Cut(rest, []byte("</style>"))
	return style
}

// fileName keeps what is safe in a header.
func fileName(id string) string {
	safe := []byte{}
	for _, b := range []byte(id) {
		if b == '-' || '0' <= b && b <= '9' || 'A' <= b && b <= 'Z' || 'a' <= b && b <= 'z' {
			safe = append(safe, b)
		}
	}
	return string(safe)
}
