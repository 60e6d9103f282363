# echod.rb: the formula of Homebrew.
# Is for Linux only, as long as echod is.
# Called by brew, and here by `make homebrew`.
class Echod < Formula
  desc "Echo service (RFC 862) and a client that verifies every byte"
  homepage "@HOME@"
  url "@HOME@/releases/v0.9.0/echod-0.9.0.tar.xz"
  sha256 "@SHA256@"
  license "BSD-2-Clause"

  depends_on "pkgconf" => :build
  depends_on "libevent"
  depends_on "libmicrohttpd"
  depends_on :linux
  depends_on "openssl@3"

  def install
    system "./configure", "--disable-silent-rules", "--sysconfdir=#{etc}", "--with-openssl",
           "--with-libmicrohttpd", "--without-libseccomp", "--without-systemdsystemunitdir",
           "--without-sysusersdir", *std_configure_args
    system "make"
    system "make", "install"
  end

  service do
    run opt_sbin/"echod"
    keep_alive crashed: true
    log_path var/"log/echod.log"
    error_log_path var/"log/echod.log"
  end

  test do
    address = "127.0.0.1:#{free_port}"
    echod = spawn sbin/"echod", "--listen", address
    begin
      20.times do
        break if quiet_system bin/"echoprobe", "-q", "-c", "1", address

        sleep 0.1
      end
      assert_match "3 sent, 3 received, 0 lost (0.0%), 0 corrupted",
                   shell_output("#{bin}/echoprobe -c 3 -i 0 #{address}")
      system bin/"echoprobe", "-q", "--half-close", "-s", "1MB", address
    ensure
      Process.kill "TERM", echod
      Process.wait echod
    end
    assert_predicate $CHILD_STATUS, :success?
  end
end
