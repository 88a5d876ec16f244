package kv_test

import (
	"testing"

	"usn.no/matricula/account"
	"usn.no/matricula/directory"
	"usn.no/matricula/directory/kv"
	"usn.no/matricula/testkit"
)

func BenchmarkCreate(b *testing.B) {
	d := &kv.Directory{Bucket: bucket(b, testkit.NATS(b).URL), Hasher: directory.NewHasher(cheap, 0)}
	for i := 0; b.Loop(); i++ {
		if err := d.Create(b.Context(), person(i)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFind(b *testing.B) {
	d := &kv.Directory{Bucket: bucket(b, testkit.NATS(b).URL), Hasher: directory.NewHasher(cheap, 0)}
	for i := range 1000 {
		if err := d.Create(b.Context(), person(i)); err != nil {
			b.Fatal(err)
		}
	}
	for _, k := range []account.Key{
		{Kind: account.ByUsername, Value: "ola500"}, {Kind: account.ByID, Value: "id500"}, {Kind: account.ByHandle, Value: "src.500"},
		{Kind: account.ByInvitation, Value: "none"},
	} {
		b.Run(k.Kind, func(b *testing.B) {
			for b.Loop() {
				if _, err := d.Find(b.Context(), k); err != nil && k.Value != "none" {
					b.Fatal(err)
				}
			}
		})
	}
}
