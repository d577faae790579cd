package cli

import (
	"net/http"
	"time"

	"greengate/internal/config"
	"greengate/internal/sigv4"
)

// sign puts a Signature Version 4 on a request without a query.
func sign(r *http.Request, body []byte, c config.Credentials, service string, at time.Time) {
	keys := sigv4.Keys{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken, Region: c.Region}
	sigv4.Sign(r, body, keys, service, at)
}
