package config

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// CompatAWS is the value of Serve.Compat that turns every documented difference from AWS off: the test listener moves in
// AllowTestTraffic, and a function that ends without a callback is waited for.
const CompatAWS = "aws"

// DefaultListen is where local AWS tools expect an endpoint.
const DefaultListen = "127.0.0.1:4566"

// DefaultLoadBalancers is the network of load balancers: addresses that every Linux machine has, and few use.
const DefaultLoadBalancers = "127.77.0.0/16"

// Serve are the settings of greengate serve.
type Serve struct {
	// Data is the data folder, absolute once Validate has passed it.
	Data string
	// Listen is the address of the API, IP:port; port 0 lets the system choose.
	Listen    string
	Region    string
	AccountID string // 12 digits
	// Minute is how long a minute of the wire lasts (waits, intervals, limits); less than a minute is for trials.
	Minute time.Duration
	// Compat is "aws" where AWS's own ways win over ours (CompatAWS), else empty.
	Compat string
	// LoadBalancers is the network, IP/bits, out of which load balancers of the ELBv2 API get their addresses. Two
	// installations on one machine need two.
	LoadBalancers string
	// Notify is a file of receivers of notices (ReadSinks); empty for none.
	Notify string
	// Hooks is a file of hooks that AppSpec files name (LoadHooks); empty for none.
	Hooks string
	// Ephemeral stops everything, tasks included, when serve ends.
	Ephemeral bool
}

// ServeDefaults are the settings that the environment gives (GREENGATE_DATA, GREENGATE_LISTEN, GREENGATE_REGION,
// GREENGATE_ACCOUNT_ID, GREENGATE_MINUTE, GREENGATE_COMPAT, GREENGATE_LOAD_BALANCERS, GREENGATE_NOTIFY, GREENGATE_HOOKS, GREENGATE_EPHEMERAL), and Greengate's
// own for the others.
// Flags go over them. The error names every variable with a bad value.
func ServeDefaults(environ func(string) string) (Serve, error) {
	s := Serve{
		Data:      firstOf(environ("GREENGATE_DATA"), defaultDataDir),
		Listen:    firstOf(environ("GREENGATE_LISTEN"), DefaultListen),
		Region:    firstOf(environ("GREENGATE_REGION"), DefaultRegion),
		AccountID: firstOf(environ("GREENGATE_ACCOUNT_ID"), "000000000000"),
		Minute:    time.Minute,
		Compat:    environ("GREENGATE_COMPAT"),

		Notify:        environ("GREENGATE_NOTIFY"),
		Hooks:         environ("GREENGATE_HOOKS"),
		LoadBalancers: firstOf(environ("GREENGATE_LOAD_BALANCERS"), DefaultLoadBalancers),
	}
	var errs []error
	if v := environ("GREENGATE_MINUTE"); v != "" {
		minute, err := time.ParseDuration(v)
		if err != nil {
			errs = append(errs, fmt.Errorf("GREENGATE_MINUTE: %q is not a duration; write for example 1s", v))
		}
		s.Minute = minute
	}
	if v := environ("GREENGATE_EPHEMERAL"); v != "" {
		ephemeral, err := strconv.ParseBool(v)
		if err != nil {
			errs = append(errs, fmt.Errorf("GREENGATE_EPHEMERAL: %q is not true or false", v))
		}
		s.Ephemeral = ephemeral
	}
	return s, errors.Join(errs...)
}

// Validate returns the settings with an absolute data folder, or every fault of them at once.
func (s Serve) Validate() (Serve, error) {
	var errs []error
	dir, err := DataDir(s.Data, func(string) string { return "" })
	if err != nil {
		errs = append(errs, err)
	}
	s.Data = dir
	if _, err := netip.ParseAddrPort(s.Listen); err != nil {
		errs = append(errs, fmt.Errorf("listen: %q is not an address; write IP:PORT, for example %s", s.Listen, DefaultListen))
	}
	if s.Region == "" || strings.Trim(s.Region, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		errs = append(errs, fmt.Errorf("region: %q is not a region; write for example %s", s.Region, DefaultRegion))
	}
	if len(s.AccountID) != 12 || strings.Trim(s.AccountID, "0123456789") != "" {
		errs = append(errs, fmt.Errorf("account id: %q must have 12 digits", s.AccountID))
	}
	if s.Minute < time.Millisecond || s.Minute > time.Minute {
		errs = append(errs, fmt.Errorf("minute: %s is not between 1ms and 1m", s.Minute))
	}
	if s.Notify != "" {
		if s.Notify, err = filepath.Abs(s.Notify); err != nil {
			errs = append(errs, fmt.Errorf("notify: %w", err))
		} else if _, err := ReadSinks(s.Notify); err != nil {
			errs = append(errs, fmt.Errorf("notify: %w", err))
		}
	}
	if s.Hooks != "" {
		if s.Hooks, err = filepath.Abs(s.Hooks); err != nil {
			errs = append(errs, fmt.Errorf("hooks: %w", err))
		}
	}
	if s.Compat != "" && s.Compat != CompatAWS {
		errs = append(errs, fmt.Errorf("compat: %q is unknown; it is %q or nothing", s.Compat, CompatAWS))
	}
	if _, err := netip.ParsePrefix(s.LoadBalancers); err != nil {
		errs = append(errs, fmt.Errorf("load balancers: %q is not a network; write IP/BITS, for example %s", s.LoadBalancers, DefaultLoadBalancers))
	}
	return s, errors.Join(errs...)
}
