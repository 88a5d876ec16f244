package testkit

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/crypto/argon2"

	"usn.no/matricula/deploy"
)

// prepare fills in the files of deploy/ldap and loads the base entries.
func (s *SlapdServer) prepare() error {
	if err := s.certificate(); err != nil {
		return err
	}
	values := map[string]string{
		"BASE": s.Base, "DC": "usn", "REALM": s.Realm,
		"SCHEMA_DIR": s.install.Schema, "MODULE_DIR": s.install.Modules,
		"CONFIG_DIR": s.Dir, "RUN_DIR": s.Dir, "DB_DIR": filepath.Join(s.Dir, "db"),
		"MIN_SSF": "0",
		"TLS": "TLSCertificateFile " + filepath.Join(s.Dir, "cert.pem") + "\nTLSCertificateKeyFile " + filepath.Join(s.Dir, "key.pem") +
			"\nTLSCACertificateFile " + s.CAFile,
		"ADMIN_HASH": hash(s.Admin.Password), "WORKER_HASH": hash(s.Worker.Password),
		"PORTAL_HASH": hash(s.Portal.Password), "READER_HASH": hash(s.Reader.Password),
	}
	files, err := deploy.LDAP.ReadDir("ldap")
	if err != nil {
		return err
	}
	for _, f := range files {
		if filepath.Ext(f.Name()) == ".md" {
			continue
		}
		text, err := deploy.LDAP.ReadFile("ldap/" + f.Name())
		if err != nil {
			return err
		}
		filled, err := deploy.Fill(string(text), values)
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name(), err)
		}
		if err := os.WriteFile(filepath.Join(s.Dir, f.Name()), []byte(filled), 0o600); err != nil {
			return err
		}
	}
	if err := os.Mkdir(filepath.Join(s.Dir, "db"), 0o700); err != nil {
		return err
	}
	cmd := s.install.command("slapadd", "-q", "-f", filepath.Join(s.Dir, "slapd.conf"), "-l", filepath.Join(s.Dir, "base.ldif"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("slapadd: %w: %s", err, out)
	}
	return nil
}

// hash is cheap on purpose: these passwords are random and live for one test.
func hash(password string) string {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt)
	sum := argon2.IDKey([]byte(password), salt, 1, 64, 1, 32)
	b64 := base64.RawStdEncoding.EncodeToString
	return "{ARGON2}$argon2id$v=19$m=64,t=1,p=1$" + b64(salt) + "$" + b64(sum)
}

// certificate makes an authority and a server certificate for this machine.
func (s *SlapdServer) certificate() error {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.ParseIP(ownIP())},
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	for name, block := range map[string]*pem.Block{
		s.CAFile:                         {Type: "CERTIFICATE", Bytes: caDER},
		filepath.Join(s.Dir, "cert.pem"): {Type: "CERTIFICATE", Bytes: leafDER},
		filepath.Join(s.Dir, "key.pem"):  {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		var text bytes.Buffer
		if err := pem.Encode(&text, block); err != nil {
			return err
		}
		if err := os.WriteFile(name, text.Bytes(), 0o600); err != nil {
			return err
		}
	}
	return nil
}
