package table

import (
	"context"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// footprintRows: what a role needs when nothing happens, beside the broker.
func footprintRows(t testing.TB, r *report, binary string) {
	const work = "start, idle, size"
	p := newPlace(t, binary, "127.0.0.1:9", "2027-08-01")
	idle := func(pid int) float64 {
		before := cpu(pid)
		time.Sleep(5 * time.Second) // this is the measurement: five seconds of nothing
		return (cpu(pid) - before).Seconds() / 5 * 100
	}
	broker := p.brokerPID()
	r.add(row{work: work, what: "nats-server", figure: fmt.Sprintf("idle %.1f %% of a core", idle(broker)), cost: fmt.Sprintf("%.0f MiB", memory(broker, false))})
	for _, role := range []string{"worker", "portal"} {
		warm, _ := p.serve(role, role+"-warm") // the file cache is warm from now on
		warm.stop()
		x, ready := p.serve(role, role)
		used := idle(x.cmd.Process.Pid)
		r.add(row{
			work: work, what: role, figure: fmt.Sprintf("ready %s, idle %.1f %%", ms(ready), used), goal: "≤ 300 ms, < 1 %",
			met: ready <= 300*time.Millisecond && used < 1, cost: fmt.Sprintf("%.0f MiB", memory(x.cmd.Process.Pid, false)),
		})
	}
	if info, err := os.Stat(binary); err == nil {
		mib := float64(info.Size()) / (1 << 20)
		r.add(row{work: work, what: "program, stripped", figure: fmt.Sprintf("%.1f MiB", mib), goal: "≤ 40", met: mib <= 40})
	}
}

// latencyRows: one event alone on its way, beside the bare round trips that it
// cannot do without: the publish, the claims, the entry, the fact.
func latencyRows(t testing.TB, r *report, binary string, n int) {
	const work = "one event, nothing else: publish → pending entry visible"
	p := newPlace(t, binary, "127.0.0.1:9", "2027-08-01")
	p.serve("worker", "worker")
	hr, conn := p.broker.JetStream("hr"), p.slapd.Conn(t, p.slapd.Worker)
	ctx := context.Background()
	var whole, trips []time.Duration
	for i, q := range invent(500000, 2*n) {
		if q.Role != "employee" {
			continue
		}
		began := time.Now()
		if _, err := hr.PublishMsg(ctx, message(t, q.registered(began))); err != nil {
			t.Fatal(err)
		}
		for len(p.slapd.Search(t, p.slapd.Admin, "(norEduPersonLIN="+p.slapd.Realm+":employee:"+q.No+")", "uid")) == 0 {
			if time.Since(began) > 10*time.Second {
				t.Fatal("an event led to no entry within ten seconds")
			}
		}
		whole = append(whole, time.Since(began))
		trips = append(trips, bareTrips(t, p, conn, i))
	}
	got, bare := percentile(whole, .5), percentile(trips, .5)
	worst := percentile(whole, .99)
	r.wait("event to entry, alone", whole)
	r.wait("bare round trips", trips)
	r.add(row{work: work, what: "bare: publish, claim, add, search", figure: "p50 " + ms(bare) + ", p99 " + ms(percentile(trips, .99))},
		row{work: work, what: "ours", figure: "p50 " + ms(got) + ", p99 " + ms(worst), ratio: got.Seconds() / bare.Seconds(), goal: "≤ 1.5; p99 ≤ 3",
			met: got.Seconds() <= 1.5*bare.Seconds() && worst.Seconds() <= 3*bare.Seconds()})
}

// bareTrips does by hand, one after the other, what the event's way consists
// of: store it, claim a number, add the entry, see it.
func bareTrips(t testing.TB, p *place, conn *ldap.Conn, no int) time.Duration {
	t.Helper()
	uid := fmt.Sprint("bare", no)
	dn := "uid=" + uid + ",ou=people," + p.slapd.Base
	add := ldap.NewAddRequest(dn, nil)
	for name, value := range map[string]string{
		"uid": uid, "cn": "Bare Nord", "sn": "Nord", "matriculaId": uid, "matriculaRevision": "1",
		"schacUserStatus": "urn:schac:userStatus:no:" + p.slapd.Realm + ":account:pending", "matriculaAddress": uid + "@example.org",
	} {
		add.Attribute(name, []string{value})
	}
	add.Attribute("objectClass", []string{"inetOrgPerson", "schacUserEntitlements", "matriculaAccount"})
	began := time.Now()
	for subject, size := range map[string]int{"$KV.limits.bare." + uid: 900, "$KV.claims.bare." + uid: 80} {
		if _, err := p.js.Publish(context.Background(), subject, make([]byte, size)); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Add(add); err != nil {
		t.Fatal(err)
	}
	p.slapd.Search(t, p.slapd.Admin, "(uid="+uid+")", "uid")
	return time.Since(began)
}

// slowClients hold connections open and say next to nothing.
func slowClients(address string, n int) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	for range n {
		go func() {
			c, err := net.Dial("tcp", address)
			if err != nil {
				return
			}
			defer func() { _ = c.Close() }()
			_, _ = c.Write([]byte("GET / HTTP/1.1\r\nHost: slow\r\n"))
			for i := 0; ; i++ {
				select {
				case <-ctx.Done():
					return
				case <-time.After(time.Second):
				}
				if _, err := fmt.Fprintf(c, "X-%d: y\r\n", i); err != nil {
					return
				}
			}
		}()
	}
	return cancel
}
