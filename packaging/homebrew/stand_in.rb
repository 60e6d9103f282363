# stand_in.rb: the part of Homebrew's Formula that echod.rb uses, enough to install and to test.
# Resolves no dependencies and starts no service.
# Called by packaging/homebrew/try: stand_in.rb FORMULA ARCHIVE
require "digest"
require "English"
require "pathname"
require "socket"

ROOT = Pathname.pwd/"homebrew"

class Formula
  # What a formula says of itself.
  class << self
    attr_reader :blocks, :values

    def inherited(formula)
      super
      formula.instance_exec { @blocks, @values = {}, {} }
    end

    %w[desc homepage license sha256 url].each do |name|
      define_method(name) { |value| @values[name] = value }
    end

    def depends_on(_what); end

    %w[service test].each do |name|
      define_method(name) { |&block| @blocks[name] = block }
    end
  end

  # What it may call.
  def prefix = ROOT/"prefix"
  def bin = prefix/"bin"
  def sbin = prefix/"sbin"
  def opt_sbin = sbin
  def etc = prefix/"etc"
  def var = prefix/"var"
  def std_configure_args = ["--disable-dependency-tracking", "--prefix=#{prefix}"]

  def free_port = TCPServer.open("127.0.0.1", 0) { |server| server.addr[1] }

  def spawn(*command) = Process.spawn(*command.map(&:to_s))

  def quiet_system(*command)
    Kernel.system(*command.map(&:to_s), out: File::NULL, err: File::NULL)
  end

  def system(*command)
    Kernel.system(*command.map(&:to_s)) or raise "failed: #{command.join(" ")}"
  end

  def shell_output(command)
    output = `#{command}`
    $CHILD_STATUS.success? or raise "failed: #{command}"
    output
  end

  def assert_match(expected, actual)
    actual.include?(expected) or raise "no \"#{expected}\" in: #{actual}"
  end

  def assert_predicate(value, predicate)
    value.send(predicate) or raise "not #{predicate} #{value}"
  end
end

# What the service block says, as strings.
class Service
  %w[run keep_alive log_path error_log_path].each do |name|
    define_method(name) { |value| puts "service: #{name} #{value}" }
  end

  def initialize(formula) = @formula = formula
  def opt_sbin = @formula.opt_sbin
  def var = @formula.var
end

formula_path, archive = ARGV
load formula_path
values = Echod.values
File.basename(values["url"]) == File.basename(archive) or raise "#{values["url"]} is not #{archive}"
values["sha256"] == Digest::SHA256.file(archive).hexdigest or raise "wrong checksum"

formula = Echod.new
formula.system "tar", "-xf", archive, "-C", ROOT/"source", "--strip-components=1"
Dir.chdir(ROOT/"source") { formula.install }
Service.new(formula).instance_eval(&Echod.blocks["service"])
formula.instance_eval(&Echod.blocks["test"])
puts "the formula installs, and its test passes"
