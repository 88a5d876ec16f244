package events

import (
	"net/textproto"
	"strconv"
	"strings"
	"time"
)

// Origin is where the broker first stored a message. What is put aside and
// comes back later lies in another place then, on a subject of ours, and
// carries its origin in headers.
type Origin struct {
	Stream   string
	Sequence uint64
	Subject  string    // as the sender published it, without the partition
	Received time.Time // when the broker first stored it
	Attempts int       // deliveries before it was last put aside
}

const (
	headerStream   = "Matricula-Stream"
	headerSequence = "Matricula-Sequence"
	headerSubject  = "Matricula-Subject"
	headerReceived = "Matricula-Received"
	headerAttempts = "Matricula-Attempts"
)

// Put writes o into the header of what is put aside.
func (o Origin) Put(header map[string][]string) {
	header[headerStream] = []string{o.Stream}
	header[headerSequence] = []string{strconv.FormatUint(o.Sequence, 10)}
	header[headerSubject] = []string{o.Subject}
	header[headerReceived] = []string{o.Received.UTC().Format(time.RFC3339Nano)}
	header[headerAttempts] = []string{strconv.Itoa(o.Attempts)}
}

// Trace answers where a message comes from, o being the place it was delivered
// from. Its headers are believed only on the subjects that nobody but our own
// processes may write: a source could name another's subject otherwise.
func (o Origin) Trace(header map[string][]string) Origin {
	o.Subject = Unpartition(o.Subject)
	if strings.HasPrefix(o.Subject, "wait.due.") || strings.HasPrefix(o.Subject, "mail.") {
		if carried, ok := CarriedOrigin(header); ok {
			return carried
		}
	}
	return o
}

// CarriedOrigin reads what Put wrote. Whether to believe it is the caller's
// question.
func CarriedOrigin(header map[string][]string) (Origin, bool) {
	h := textproto.MIMEHeader(header)
	o := Origin{Stream: h.Get(headerStream), Subject: h.Get(headerSubject)}
	var err [3]error
	o.Sequence, err[0] = strconv.ParseUint(h.Get(headerSequence), 10, 64)
	o.Received, err[1] = time.Parse(time.RFC3339Nano, h.Get(headerReceived))
	o.Attempts, err[2] = strconv.Atoi(h.Get(headerAttempts))
	return o, o.Stream != "" && o.Subject != "" && err == [3]error{}
}
