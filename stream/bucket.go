package stream

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	hdrExpected  = "Nats-Expected-Last-Subject-Sequence"
	hdrOperation = "KV-Operation"
)

func firstToken(subject string) string {
	token, _, _ := strings.Cut(subject, ".")
	return token
}

// stored is the last message on a subject. seq 0 means there is none; gone
// means the last one says that the key was deleted.
type stored struct {
	seq     uint64
	subject string
	header  nats.Header
	data    []byte
	time    time.Time
	gone    bool
}

// lastOf reads the last message on a subject from the stream's leader. A direct
// read may be answered by a replica that lags behind what was just written.
func lastOf(ctx context.Context, nc *nats.Conn, stream, subject string) (stored, error) {
	return get(ctx, nc, stream, map[string]any{"last_by_subj": subject})
}

func get(ctx context.Context, nc *nats.Conn, stream string, which map[string]any) (stored, error) {
	body, err := json.Marshal(which)
	if err != nil {
		return stored{}, err
	}
	// A request that a broker took with it when it ended is never answered: the
	// caller's whole time would go by.
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	m, err := nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+stream, body)
	if err != nil {
		return stored{}, broken("read "+stream, err)
	}
	var reply struct {
		Error   *apiError `json:"error"`
		Message struct {
			Subject string    `json:"subject"`
			Seq     uint64    `json:"seq"`
			Header  []byte    `json:"hdrs"`
			Data    []byte    `json:"data"`
			Time    time.Time `json:"time"`
		} `json:"message"`
	}
	if err := json.Unmarshal(m.Data, &reply); err != nil {
		return stored{}, broken("read "+stream, err)
	}
	if reply.Error != nil {
		if reply.Error.ErrCode == codeNoMessage {
			return stored{}, nil
		}
		return stored{}, broken("read "+stream, reply.Error)
	}
	s := stored{seq: reply.Message.Seq, subject: reply.Message.Subject, data: reply.Message.Data, time: reply.Message.Time}
	if len(reply.Message.Header) > 0 {
		if s.header, err = nats.DecodeHeadersMsg(reply.Message.Header); err != nil {
			return stored{}, broken("read "+stream, err)
		}
		op := s.header.Get(hdrOperation)
		s.gone = op == "DEL" || op == "PURGE" || s.header.Get("Nats-Marker-Reason") != ""
	}
	return s, nil
}

// entry is a write of one key that succeeds only if the key's last message is
// the one expected, 0 for none. No value deletes.
func entry(bucket, key string, expected uint64, value []byte) *nats.Msg {
	m := &nats.Msg{Subject: bucketSubject(bucket, key), Header: nats.Header{}, Data: value}
	m.Header.Set(hdrExpected, strconv.FormatUint(expected, 10))
	if value == nil {
		m.Header.Set(hdrOperation, "DEL")
	}
	return m
}
