// Command shop is the service under test, and every command and task hook of it.
//
//	shop serve                     serves where HOST and PORT say; VERSION, FAULT, PRODUCTION
//	shop hook NAME URL-VARIABLE    one line to $STARTS at once, then a check of the address in that variable ("-": none)
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

func main() {
	if os.Args[1] == "serve" {
		serve()
	}
	if err := hook(os.Args[2], os.Args[3]); err != nil {
		fmt.Println("FAIL", err)
		os.Exit(1)
	}
}

func serve() {
	version, fault, production := os.Getenv("VERSION"), os.Getenv("FAULT"), os.Getenv("PRODUCTION")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, version) })
	mux.HandleFunc("POST /orders", func(w http.ResponseWriter, r *http.Request) {
		if n, err := io.Copy(io.Discard, r.Body); err != nil || n == 0 {
			http.Error(w, "an order needs a body", http.StatusBadRequest)
			return
		}
		if fault == "production" && r.Host == production {
			w.Header().Set("Wrong-Total", "yes") // wrong, and still an answer: clients do not count it as failed
		}
		io.WriteString(w, version)
	})
	mux.HandleFunc("GET /slow", func(w http.ResponseWriter, r *http.Request) {
		d, _ := time.ParseDuration(r.FormValue("for"))
		os.Stdout.WriteString("slow\n")
		select {
		case <-time.After(d):
		case <-r.Context().Done():
		}
		io.WriteString(w, version)
	})
	fmt.Println(http.ListenAndServe(net.JoinHostPort(os.Getenv("HOST"), os.Getenv("PORT")), mux))
	os.Exit(1)
}

// line is one line of the append-only file.
type line struct {
	Kind       string `json:"kind"` // start, or request for one that was answered by production
	Hook       string `json:"hook"`
	Event      string `json:"event"`
	Deployment string `json:"deployment"`
	Execution  string `json:"execution"`
	Version    string `json:"version,omitempty"`
}

func hook(name, variable string) error {
	l := line{
		Kind: "start", Hook: name, Event: os.Getenv("GREENGATE_LIFECYCLE_EVENT"), Deployment: os.Getenv("GREENGATE_DEPLOYMENT_ID"),
		Execution: os.Getenv("GREENGATE_HOOK_EXECUTION_ID"),
	}
	if err := note(l); err != nil {
		return err
	}
	if ms, _ := strconv.Atoi(os.Getenv("HOLD_MS")); ms > 0 {
		time.Sleep(time.Duration(ms) * time.Millisecond)
	}
	if os.Getenv("FAILS") == "true" {
		return fmt.Errorf("as asked for")
	}
	if variable == "-" {
		return nil
	}
	base := os.Getenv(variable)
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		version, wrong, err := ask(method, base)
		if err != nil {
			return err
		}
		l.Kind, l.Version = "request", version
		if variable == "GREENGATE_PRODUCTION_URL" {
			if err := note(l); err != nil {
				return err
			}
		}
		if want := os.Getenv("GREENGATE_VERSION"); version != want {
			return fmt.Errorf("%s answered version %s instead of %s", base, version, want)
		}
		if wrong {
			return fmt.Errorf("%s %s: the total is wrong", method, base)
		}
	}
	return nil
}

func ask(method, base string) (version string, wrong bool, err error) {
	path := map[string]string{http.MethodGet: "/version", http.MethodPost: "/orders"}[method]
	req, err := http.NewRequest(method, base+path, strings.NewReader(map[string]string{http.MethodPost: "{}"}[method]))
	if err != nil {
		return "", false, err
	}
	client := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return "", false, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: status %d: %s", method, base, res.StatusCode, body)
	}
	return string(body), res.Header.Get("Wrong-Total") != "", err
}

func note(l line) error {
	data, err := json.Marshal(l)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(os.Getenv("STARTS"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(append(data, '\n'))
	return err
}
