# Sidekiq as an application uses it. `ruby sidekiq_jobs.rb URL QUEUE`; steps are read from standard input, each answered
# by a line: `add N`, `schedule N SECONDS`, `take N` (hold N jobs at work), `finish` (those).
require 'sidekiq'
require 'sidekiq/api'

URL, QUEUE = ENV['GUV_TEST_URL'] || ARGV[0], ENV['GUV_TEST_QUEUE'] || ARGV[1]
Sidekiq.configure_client { |config| config.redis = { url: URL } }
Sidekiq.configure_server { |config| config.redis = { url: URL } }
Sidekiq.logger.level = Logger::ERROR

class Work
  include Sidekiq::Worker
  sidekiq_options queue: QUEUE, retry: false

  def perform
    Sidekiq.redis { |redis| redis.incr('guv-test-taken') }
    sleep 0.02 until Sidekiq.redis { |redis| redis.get('guv-test-open') }
  end
end

if $PROGRAM_NAME == __FILE__
  $stdout.sync = true
  worker = nil
  $stdin.each_line do |line|
    step, first, second = line.split
    case step
    when 'add' then first.to_i.times { Work.perform_async }
    when 'schedule' then first.to_i.times { Work.perform_in(second.to_i) }
    when 'take'
      environment = { 'GUV_TEST_URL' => URL, 'GUV_TEST_QUEUE' => QUEUE }
      worker = spawn(environment, 'sidekiq', '-r', __FILE__, '-q', QUEUE, '-c', first, out: :err)
      sleep 0.02 until Sidekiq.redis { |redis| redis.get('guv-test-taken') }.to_i >= first.to_i
    when 'finish'
      Sidekiq.redis { |redis| redis.set('guv-test-open', 1) }
      Process.kill('TERM', worker)
      Process.wait(worker)
    end
    puts 'done'
  rescue StandardError => e
    puts "failed: #{e.inspect}"
  end
end
