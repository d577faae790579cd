package console

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/deploy"
)

func (c *Console) loadServices(ctx context.Context, v visitor, _ place) (any, error) {
	return ask[deploy.DescribeOverviewOutput](ctx, c, v, "DescribeOverview", struct{}{})
}

// deploymentsPage is how many deployments a page shows.
const deploymentsPage = 50

// deploymentsModel is the list of deployments with its filters.
type deploymentsModel struct {
	Service, Status, From, To, ID string
	Services                      []string
	Deployments                   []deploy.DeploymentView
	// Newer and Older lead to the neighbouring pages; empty for none.
	First, Older string
	// Missing: a deployment of that id was looked for, and is not there.
	Missing string
}

// statuses are those of the filter.
func statuses() []deploy.Status {
	return []deploy.Status{
		deploy.StatusCreated, deploy.StatusInProgress, deploy.StatusReady, deploy.StatusSucceeded, deploy.StatusFailed, deploy.StatusStopped,
	}
}

func (c *Console) loadDeployments(ctx context.Context, v visitor, at place) (any, error) {
	q := at.query
	m := deploymentsModel{Service: q.Get("service"), Status: q.Get("status"), From: q.Get("from"), To: q.Get("to"), ID: q.Get("id")}
	in := deploy.ListDeploymentsInput{Service: m.Service, Limit: deploymentsPage + 1, After: q.Get("after"), Brief: true}
	if slices.Contains(statuses(), deploy.Status(m.Status)) {
		in.Statuses = []deploy.Status{deploy.Status(m.Status)}
	}
	if t, err := time.Parse(time.DateOnly, m.From); err == nil {
		in.From = t
	}
	if t, err := time.Parse(time.DateOnly, m.To); err == nil {
		in.To = t.AddDate(0, 0, 1)
	}
	if m.ID != "" {
		d, err := ask[deploy.DeploymentView](ctx, c, v, "DescribeDeployment", deploy.DeploymentInput{ID: m.ID})
		if err != nil {
			if !isNotFound(err) {
				return nil, err
			}
			m.Missing = m.ID
			return m, nil
		}
		m.Deployments = []deploy.DeploymentView{d}
		return m, nil
	}
	out, err := ask[deploy.ListDeploymentsOutput](ctx, c, v, "ListDeployments", in)
	if err != nil {
		return nil, err
	}
	m.Deployments = out.Deployments
	if len(m.Deployments) > deploymentsPage {
		m.Deployments = m.Deployments[:deploymentsPage]
		m.Older = at.url("after", m.Deployments[deploymentsPage-1].ID)
	}
	if in.After != "" {
		first := place{path: at.path, query: url.Values{}}
		for k, values := range q {
			if k != "after" {
				first.query[k] = values
			}
		}
		m.First = first.url()
	}
	for i := range m.Deployments { // a list needs no evidence
		m.Deployments[i].Verdicts, m.Deployments[i].Lifecycle, m.Deployments[i].Actions = nil, nil, nil
	}
	m.Services, err = c.serviceNames(ctx, v)
	return m, err
}

// serviceNames are those of the filter; who may not see services filters without them.
func (c *Console) serviceNames(ctx context.Context, v visitor) ([]string, error) {
	out, err := ask[deploy.DescribeOverviewOutput](ctx, c, v, "DescribeOverview", struct{}{})
	if e, ok := errorNamed(err); ok && e.Name == "AccessDeniedException" {
		return nil, nil
	}
	names := make([]string, len(out.Services))
	for i, s := range out.Services {
		names[i] = s.Name
	}
	slices.SortFunc(names, cmp.Compare)
	return names, err
}

func (c *Console) loadFunctions(ctx context.Context, v visitor, _ place) (any, error) {
	return ask[deploy.ListFunctionsOutput](ctx, c, v, "ListFunctions", struct{}{})
}

func (c *Console) loadFunction(ctx context.Context, v visitor, at place) (any, error) {
	return ask[deploy.FunctionView](ctx, c, v, "DescribeFunction", deploy.FunctionInput{Name: at.id})
}

func functionTitle(model any) string {
	f, _ := model.(deploy.FunctionView)
	return "Function " + f.Name
}

func (c *Console) loadChecks(ctx context.Context, v visitor, _ place) (any, error) {
	return ask[deploy.DescribeChecksOutput](ctx, c, v, "DescribeChecks", struct{}{})
}

// auditModel is a page of the audit.
type auditModel struct {
	Entries []deploy.AuditEntry
	Older   string
	First   string
}

const auditPage = 100

func (c *Console) loadAudit(ctx context.Context, v visitor, at place) (any, error) {
	before, err := strconv.ParseInt(at.query.Get("before"), 10, 64)
	if err != nil || before < 0 {
		before = 0
	}
	out, err := ask[deploy.ListAuditOutput](ctx, c, v, "ListAudit", deploy.ListAuditInput{Before: before, Limit: auditPage + 1})
	if err != nil {
		return nil, err
	}
	m := auditModel{Entries: out.Entries}
	if len(m.Entries) > auditPage {
		m.Entries = m.Entries[:auditPage]
		m.Older = at.url("before", strconv.FormatInt(m.Entries[auditPage-1].Seq, 10))
	}
	if before > 0 {
		m.First = at.path
	}
	return m, nil
}

func errorNamed(err error) (*awsapi.Error, bool) {
	e, ok := err.(*awsapi.Error) //nolint:errorlint // Do returns it as it is
	return e, ok
}

func isNotFound(err error) bool {
	e, ok := errorNamed(err)
	return ok && (e.Name == "ResourceNotFoundException" || e.Status == http.StatusNotFound)
}
