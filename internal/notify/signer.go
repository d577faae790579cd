package notify

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"

	"greengate/internal/cloud"
)

// Signer signs messages with the installation's own key: signature version 2, which is RSA over SHA-256. AWS's key is
// AWS's; a subscriber that insists on a certificate from amazonaws.com refuses ours, and should.
type Signer struct {
	key         *rsa.PrivateKey
	certificate []byte // PEM
	path        string
}

const (
	blockKey         = "PRIVATE KEY"
	blockCertificate = "CERTIFICATE"
	keyBits          = 2048
	keyLife          = 20 * 365 * 24 * time.Hour // nobody renews it
)

// NewSignerFile makes a key and its certificate, as PEM: what ReadSigner reads.
func NewSignerFile(now time.Time) ([]byte, error) {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("draw serial number: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "sns.greengate"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(keyLife),
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	file := pem.EncodeToMemory(&pem.Block{Type: blockKey, Bytes: der})
	return append(file, pem.EncodeToMemory(&pem.Block{Type: blockCertificate, Bytes: certificate})...), nil
}

// ReadSigner reads a file of NewSignerFile.
func ReadSigner(file []byte) (*Signer, error) {
	s := &Signer{}
	for {
		var block *pem.Block
		if block, file = pem.Decode(file); block == nil {
			break
		}
		switch block.Type {
		case blockKey:
			key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("read key: %w", err)
			}
			s.key, _ = key.(*rsa.PrivateKey)
		case blockCertificate:
			sum := sha256.Sum256(block.Bytes)
			s.certificate, s.path = pem.EncodeToMemory(block), "/SimpleNotificationService-"+hex.EncodeToString(sum[:16])+".pem"
		}
	}
	if s.key == nil || s.certificate == nil {
		return nil, errors.New("read key: there is no RSA key with a certificate in it")
	}
	return s, nil
}

// Path is where the certificate is served, below the address of the API.
func (s *Signer) Path() string { return s.path }

// Certificate is the certificate as PEM.
func (s *Signer) Certificate() []byte { return s.certificate }

func (s *Signer) sign(text string) (string, error) {
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(rand.Reader, s.key, crypto.SHA256, sum[:])
	if err != nil {
		return "", fmt.Errorf("sign message: %w", err)
	}
	return base64.StdEncoding.EncodeToString(sig), nil
}

// UnsubscribeToken is what the link at the end of a message presents: it ends this subscription and can do nothing else.
func UnsubscribeToken(s cloud.Subscription) string {
	mac := hmac.New(sha256.New, []byte(s.Token))
	mac.Write([]byte("unsubscribe " + s.ID))
	return hex.EncodeToString(mac.Sum(nil))
}
