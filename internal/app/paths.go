package app

import "path/filepath"

// Paths are the places in a data folder. The supervisor's own are in package supervise.
type Paths string

func (p Paths) in(elem ...string) string {
	return filepath.Join(append([]string{string(p)}, elem...)...)
}

// Credentials is the AWS INI file of the root key.
func (p Paths) Credentials() string { return p.in("credentials") }

// MasterKey signs sessions and hook execution ids.
func (p Paths) MasterKey() string { return p.in("master.key") }

// TopicKey signs the messages of topics.
func (p Paths) TopicKey() string { return p.in("sns.pem") }

// Proxy is the data plane's folder: table and ledgers.
func (p Paths) Proxy() string { return p.in("proxy") }

// ProxySocket is the data plane's control socket.
func (p Paths) ProxySocket() string { return p.in("run", "proxy.sock") }

// Runner is the runner's folder: journal, logs, sandboxes.
func (p Paths) Runner() string { return p.in("runner") }

// RunnerSocket is the runner's control socket.
func (p Paths) RunnerSocket() string { return p.in("run", "runner.sock") }

// Results is where hooks leave their JUnit XML.
func (p Paths) Results() string { return p.in("results") }

// Objects is where the objects of buckets are.
func (p Paths) Objects() string { return p.in("objects") }

// LogGroups is where the log events are that clients put.
func (p Paths) LogGroups() string { return p.in("loggroups") }

// Functions is where the code of functions is unpacked, a folder a bundle.
func (p Paths) Functions() string { return p.in("functions") }
