// udp.go: one goroutine that reads a datagram and sends it back.
// Leaves out the address that was asked, guards against loops, and a way to stop.
// Run as: udp-go PORT (built) or: go run udp.go PORT
package main

import (
	"log"
	"net"
	"os"
)

func main() {
	address, err := net.ResolveUDPAddr("udp4", "127.0.0.1:"+os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	socket, err := net.ListenUDP("udp4", address)
	if err != nil {
		log.Fatal(err)
	}
	socket.SetReadBuffer(4 << 20)
	buffer := make([]byte, 65536)
	for {
		size, client, err := socket.ReadFromUDPAddrPort(buffer)
		if err != nil {
			log.Fatal(err)
		}
		socket.WriteToUDPAddrPort(buffer[:size], client)
	}
}
