package scenario

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"time"
)

// redirectsKey is the key of a request's context under which it says how many redirects are followed.
type redirectsKey struct{}

// newClient makes the client of one run, and what gRPC calls go by: connections and cookies are of that run alone. No proxy
// of the environment is between: what answers must be what was asked.
func newClient(s *Scenario) (*http.Client, *http.Transport, error) {
	config, err := s.tls.config()
	if err != nil {
		return nil, nil, err
	}
	calls := newTransport(config.Clone())
	calls.Protocols = new(http.Protocols)
	calls.Protocols.SetHTTP2(true)
	calls.Protocols.SetUnencryptedHTTP2(true) // gRPC speaks no HTTP/1
	requests := newTransport(config)
	requests.ForceAttemptHTTP2 = true
	client := &http.Client{
		Transport: requests,
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if most, _ := r.Context().Value(redirectsKey{}).(int); len(via) > most {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}
	if !s.noJar {
		jar, err := cookiejar.New(nil)
		if err != nil {
			return nil, nil, fmt.Errorf("make cookie jar: %w", err)
		}
		client.Jar = jar
	}
	return client, calls, nil
}

func newTransport(config *tls.Config) *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		DialContext: dialer.DialContext, TLSClientConfig: config, TLSHandshakeTimeout: 10 * time.Second, MaxIdleConnsPerHost: 16,
		IdleConnTimeout: 30 * time.Second,
	}
}

func (o tlsOptions) config() (*tls.Config, error) {
	c := &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: o.name,
		InsecureSkipVerify: o.insecure, //nolint:gosec // the scenario says so, and its author was told what it means
	}
	if o.ca != nil {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(o.ca) {
			return nil, errors.New("tls.ca holds no PEM certificate")
		}
	}
	if o.cert != nil {
		key, err := os.ReadFile(o.keyFile)
		if err != nil {
			return nil, fmt.Errorf("read tls.key: %w", err)
		}
		pair, err := tls.X509KeyPair(o.cert, key)
		if err != nil {
			return nil, fmt.Errorf("load client certificate: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// following makes the context of a request that follows so many redirects.
func following(ctx context.Context, most int) context.Context {
	return context.WithValue(ctx, redirectsKey{}, most)
}

// certificateOf are the facts of the certificate that the server showed.
func certificateOf(state *tls.ConnectionState) any {
	if state == nil || len(state.PeerCertificates) == 0 {
		return unreadable{errors.New("certificate: the answer did not come by TLS")}
	}
	c := state.PeerCertificates[0]
	names := make([]any, len(c.DNSNames))
	for i, n := range c.DNSNames {
		names[i] = n
	}
	return map[string]any{
		"subject": c.Subject.String(), "issuer": c.Issuer.String(), "dns_names": names, "not_before": c.NotBefore, "not_after": c.NotAfter,
		"valid_for": time.Until(c.NotAfter),
	}
}
