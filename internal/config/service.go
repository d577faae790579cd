package config

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"greengate/internal/deploy"
)

// service reads the whole file. Each key of greengate.yaml is one line of a table.
func (d *decoder) service(tree *node) deploy.Service {
	s := deploy.DefaultService()
	w := &s.Workload
	w.Dir = d.folder
	d.fields(tree, "", map[string]setter{
		"name":            d.word(&s.Name),
		"version":         d.version(&s.Version),
		"command":         d.command(&w.Command),
		"image":           d.word(&w.Image),
		"dir":             d.path(&w.Dir),
		"port":            d.port(&w.Port),
		"network":         choice(d, &w.Network, "host", "namespace"),
		"tasks":           d.integer(&s.Tasks),
		"env":             d.environment(&w.Env),
		"env_file":        d.path(&w.EnvFile),
		"protocol":        choice(d, &w.Protocol, "http1", "h2c"),
		"health":          d.health(&w.Health),
		"limits":          d.limits(w),
		"grace":           d.duration(&w.Grace),
		"listeners":       d.listeners(&s),
		"traffic":         d.traffic(&s.Traffic),
		"hooks":           d.hooks(&s.Hooks),
		"smoke":           d.hookList(func(list []deploy.Hook) { s.Smoke = list }),
		"promote":         d.promote(&s),
		"way_back":        choice(d, &s.WayBack, deploy.WayBackWarn, deploy.WayBackRequire),
		"bake":            d.bake(&s),
		"rollback":        d.rollback(&s.Rollback),
		"drain":           d.duration(&s.Drain),
		"unhealthy_grace": d.duration(&s.UnhealthyGrace),
		"install_limit":   d.duration(&s.InstallLimit),
	})
	for i := range s.Smoke {
		d.settle(&s.Smoke[i], w.Dir)
	}
	for _, list := range s.Hooks {
		for i := range list {
			d.settle(&list[i], w.Dir)
		}
	}
	return s
}

// settle gives a command hook, and the programs of a scenario, the folder of the service where it names none. A task hook takes it by itself.
func (d *decoder) settle(h *deploy.Hook, dir string) {
	if (h.Kind == deploy.HookCommand || h.Kind == deploy.HookScenario) && h.Dir == "" {
		h.Dir = dir
	}
}

// version reads a label. It is shown in tables and used as an argument, so it is one short word.
func (d *decoder) version(to *string) setter {
	return func(n *node, field string) {
		d.label(to)(n, field)
		const most = 128
		if len(*to) > most || strings.ContainsFunc(*to, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
			d.fault(field, "%q is not a label: use at most %d characters without blanks", *to, most)
		}
	}
}

func (d *decoder) path(to *string) setter {
	return func(n *node, field string) {
		var p string
		d.word(&p)(n, field)
		switch {
		case p == "" && !d.blamed(field):
			d.fault(field, "is empty; name a path, \".\" is the folder of this file")
		case filepath.IsAbs(p):
			*to = filepath.Clean(p)
		case p != "":
			*to = filepath.Join(d.folder, p)
		}
	}
}

func (d *decoder) port(to *int) setter {
	return func(n *node, field string) {
		d.integer(to)(n, field)
		if *to == 0 && !d.blamed(field) {
			d.fault(field, "is 0; leave port out to give each task a port of its own in $PORT")
		}
	}
}

func (d *decoder) limits(w *deploy.Workload) setter {
	return func(n *node, field string) {
		var pids int
		d.fields(n, field, map[string]setter{
			"cpu":    d.cores(&w.CPU),
			"memory": d.size(&w.MemoryBytes),
			"pids": func(n *node, field string) {
				if d.integer(&pids)(n, field); pids < 1 && !d.blamed(field) {
					d.fault(field, "is %d; it must be at least 1", pids)
				}
			},
		})
		w.PIDs = int64(pids)
	}
}

func (d *decoder) listeners(s *deploy.Service) setter {
	return func(n *node, field string) {
		d.fields(n, field, map[string]setter{
			"production": d.word(&s.Production),
			"test":       d.word(&s.Test),
		})
	}
}

// Health check settings of a file that has a health key but leaves these out.
const (
	defaultStatuses           = "200-299"
	defaultHealthInterval     = 2 * time.Second
	defaultHealthTimeout      = time.Second
	defaultHealthyThreshold   = 2
	defaultUnhealthyThreshold = 3
	defaultStartPeriod        = 30 * time.Second
)

func (d *decoder) health(to **deploy.HealthCheck) setter {
	return func(n *node, field string) {
		h := &deploy.HealthCheck{
			Type: "http", Statuses: defaultStatuses, Interval: defaultHealthInterval, Timeout: defaultHealthTimeout,
			HealthyThreshold: defaultHealthyThreshold, UnhealthyThreshold: defaultUnhealthyThreshold,
			StartPeriod: defaultStartPeriod,
		}
		*to = h
		if n.scalar() { // health: /healthz
			d.word(&h.Path)(n, field)
			return
		}
		var tcp bool
		d.fields(n, field, map[string]setter{
			"path":                d.word(&h.Path),
			"tcp":                 d.boolean(&tcp),
			"status":              d.statuses(&h.Statuses),
			"interval":            d.duration(&h.Interval),
			"timeout":             d.duration(&h.Timeout),
			"healthy_threshold":   d.integer(&h.HealthyThreshold),
			"unhealthy_threshold": d.integer(&h.UnhealthyThreshold),
			"start_period":        d.duration(&h.StartPeriod),
		})
		d.healthKind(h, tcp, field)
	}
}

func (d *decoder) healthKind(h *deploy.HealthCheck, tcp bool, field string) {
	_, path := d.at[field+".path"]
	_, status := d.at[field+".status"]
	switch {
	case tcp && (path || status):
		d.fault(field, "has tcp and an HTTP setting; a check is one or the other")
	case tcp:
		h.Type, h.Statuses = "tcp", ""
	case !path && !d.blamed(field):
		d.fault(field, "says nothing to check; give it a path, or tcp: true")
	}
	if h.Interval == 0 || h.Timeout == 0 {
		d.fault(field, "needs an interval and a timeout above 0s")
	}
}

// statuses reads "200", "200,204" or "200-299".
func (d *decoder) statuses(to *string) setter {
	return func(n *node, field string) {
		d.label(to)(n, field)
		for part := range strings.SplitSeq(*to, ",") {
			low, high, isRange := strings.Cut(part, "-")
			if !isRange {
				high = low
			}
			if !statusCode(low) || !statusCode(high) || low > high {
				d.fault(field, "%q is not a list of statuses; write for example \"200\", \"200,204\" or \"200-299\"", *to)
				return
			}
		}
	}
}

func statusCode(s string) bool {
	code, err := strconv.Atoi(s)
	return err == nil && len(s) == 3 && code >= 100 && code <= 599
}

func (d *decoder) traffic(to *deploy.Traffic) setter {
	return func(n *node, field string) {
		const usage = "all-at-once, {canary: 10%, interval: 5m} or {linear: 20%, interval: 1m}"
		if n.kind != kindMapping {
			if !d.expect(n, field, usage, kindText) {
				return
			}
			if n.text != "all-at-once" {
				d.fault(field, "%q is unknown; write %s", n.text, usage)
			}
			return
		}
		var canary, linear int
		*to = deploy.Traffic{}
		d.fields(n, field, map[string]setter{
			"canary":   d.percent(&canary),
			"linear":   d.percent(&linear),
			"interval": d.duration(&to.Interval),
		})
		_, isCanary := d.at[field+".canary"]
		_, isLinear := d.at[field+".linear"]
		switch {
		case isCanary && isLinear:
			d.fault(field, "has canary and linear; it is one or the other")
		case isCanary:
			to.Kind, to.Percent = deploy.TrafficCanary, canary
		case isLinear:
			to.Kind, to.Percent = deploy.TrafficLinear, linear
		case !d.blamed(field):
			d.fault(field, "names no way; write %s", usage)
		}
	}
}

func (d *decoder) promote(s *deploy.Service) setter {
	policy := choice(d, &s.Promotion, deploy.PromoteVerified, deploy.PromoteManual, deploy.PromoteAuto)
	return func(n *node, field string) {
		if n.kind != kindMapping {
			policy(n, field)
			return
		}
		d.fields(n, field, map[string]setter{"policy": policy, "limit": d.duration(&s.ReadyLimit)})
		if _, ok := d.at[field+".limit"]; ok && s.ReadyLimit == 0 {
			d.fault(field+".limit", "is 0s; a wait without time ends at once")
		}
	}
}

func (d *decoder) bake(s *deploy.Service) setter {
	return func(n *node, field string) {
		if n.kind != kindMapping {
			d.duration(&s.Bake)(n, field)
			return
		}
		d.fields(n, field, map[string]setter{"for": d.duration(&s.Bake), "max_error_rate": d.share(&s.MaxErrorRate)})
		if s.Bake == 0 && !d.blamed(field) {
			d.fault(field, "does not say how long; add for, for example {for: 10m}")
		}
	}
}

// rollback reads true, false, or the list of causes on which to go back.
func (d *decoder) rollback(to *deploy.RollbackPolicy) setter {
	return func(n *node, field string) {
		if n.kind != kindList {
			var on bool
			if d.expect(n, field, "true, false or a list of failure, alarm, stop", kindBool) {
				d.boolean(&on)(n, field)
				*to = deploy.RollbackPolicy{OnFailure: on, OnAlarm: on, OnStop: on}
			}
			return
		}
		*to = deploy.RollbackPolicy{}
		for i, item := range n.items {
			var cause string
			choice(d, &cause, "failure", "alarm", "stop")(item, fmt.Sprintf("%s[%d]", field, i))
			to.OnFailure = to.OnFailure || cause == "failure"
			to.OnAlarm = to.OnAlarm || cause == "alarm"
			to.OnStop = to.OnStop || cause == "stop"
		}
	}
}
