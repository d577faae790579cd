package wire

import (
	"cmp"
	"net/http"

	"greengate/internal/awsapi/shapes"
)

// resolved is a fault as one protocol says it.
type resolved struct {
	name, code, message string
	status              int
	server              bool
	member              string // that holds the message
	typed               bool
}

// dialect is a group of protocols that word the shared errors alike.
type dialect string

const (
	dialectJSON  dialect = "json"
	dialectREST  dialect = "rest"
	dialectQuery dialect = "query"
	dialectS3    dialect = "s3"
)

// resolve looks a fault up: the model of the service first, then what all services share.
func resolve(s *Service, f Fault, d dialect) resolved {
	r := resolved{name: f.Name, code: f.Name, message: f.Message, status: f.Status, member: "message"}
	status := http.StatusBadRequest
	if shared, ok := sharedFaults()[f.Name][d]; ok {
		r.name, r.code, status = shared.code, shared.code, shared.status
	}
	if s != nil {
		if m, ok := s.Errors[f.Name]; ok {
			status = r.modelled(f.Name, m)
		}
	}
	if r.status == 0 {
		r.status = status
	}
	r.server = r.server || r.status >= http.StatusInternalServerError
	return r
}

// modelled says a fault as the model of its service has it, and returns its status.
func (r *resolved) modelled(name string, m shapes.Fault) int {
	r.name, r.code = name, cmp.Or(m.Code, name)
	r.member = cmp.Or(m.Message, r.member)
	r.server, r.typed = m.Server, m.Typed
	return cmp.Or(m.Status, http.StatusBadRequest)
}

func (r *resolved) sender() string {
	if r.server {
		return "Receiver"
	}
	return "Sender"
}
