// The words of the dashboard.
import { texts } from '../shared/language';

export const t = texts({
  en: {
    title: 'Dashboard', chat: 'Chat', lost: 'The server does not answer. Trying again …', up: 'up {time}', range: 'Time shown', minutes_5: '5 min', hour_1: '1 h', hours_24: '24 h',
    running: 'Running', waiting: 'Waiting', rate: 'Output tokens/s', prompts: 'Prompt tokens/s', ttft: 'First token, p95', itl: 'Between tokens, p95',
    kv: 'KV cache used', hits: 'From the prefix cache', memory: 'Memory', errors: 'Errors · refused', last_minute: 'last minute', now: 'now',
    chart_requests: 'Requests', chart_tokens: 'Tokens per second', chart_ttft: 'Time to first token', chart_itl: 'Gap between tokens', chart_kv: 'KV cache and prefix hits', chart_errors: 'Errors and refusals per second',
    s_running: 'running', s_waiting: 'waiting', s_output: 'output', s_prompt: 'prompt', s_kv: 'KV cache', s_hits: 'prefix hits', s_errors: 'errors', s_refused: 'refused',
    in_flight: 'In flight', nothing: 'Nothing is in flight.', ended: 'Ended', slow: 'Slowest', failed: 'Failed', newest: 'Newest', no_ended: 'None.', id: 'Request', phase: 'Phase', age: 'Age', prompt: 'Prompt', output: 'Output',
    speed: 'Tokens/s', cancel: 'Cancel', cancel_failed: 'Not cancelled: {why}', time: 'Time', end: 'End', total: 'Total', split: 'Queue / prefill / decode', queue: 'queue', prefill: 'prefill', decode: 'decode', first: 'First token',
    more: '{n} more', lengths: 'Lengths in the last hour', prompt_lengths: 'Prompt tokens', output_lengths: 'Output tokens', no_lengths: 'No request has ended in the last hour.', settings: 'Settings', only_changed: 'Only what was set', no_changed: 'All settings have their defaults.',
    log: 'Log', replicas: 'Servers', state: 'State', address: 'Address', uptime: 'Uptime', cached: '{n} cached', model: 'Model', ttft_p99: 'First token, p99', pid: 'Process', seen: 'Heard of', this: 'this page', ago: '{time} ago',
  },
  ko: {
    title: '대시보드', chat: '대화', lost: '서버가 응답하지 않습니다. 다시 시도하는 중 …', up: '가동 {time}', range: '표시 기간', minutes_5: '5분', hour_1: '1시간', hours_24: '24시간',
    running: '실행 중', waiting: '대기 중', rate: '출력 토큰/초', prompts: '프롬프트 토큰/초', ttft: '첫 토큰, p95', itl: '토큰 간격, p95',
    kv: 'KV 캐시 사용', hits: '접두사 캐시 적중', memory: '메모리', errors: '오류 · 거절', last_minute: '최근 1분', now: '현재',
    chart_requests: '요청', chart_tokens: '초당 토큰', chart_ttft: '첫 토큰까지의 시간', chart_itl: '토큰 간격', chart_kv: 'KV 캐시와 접두사 적중', chart_errors: '초당 오류와 거절',
    s_running: '실행', s_waiting: '대기', s_output: '출력', s_prompt: '프롬프트', s_kv: 'KV 캐시', s_hits: '접두사 적중', s_errors: '오류', s_refused: '거절',
    in_flight: '처리 중인 요청', nothing: '처리 중인 요청이 없습니다.', ended: '끝난 요청', slow: '가장 느림', failed: '실패', newest: '최신', no_ended: '없습니다.', id: '요청', phase: '단계', age: '경과', prompt: '프롬프트', output: '출력',
    speed: '토큰/초', cancel: '취소', cancel_failed: '취소하지 못했습니다: {why}', time: '시각', end: '종료', total: '총 시간', split: '대기 / 프리필 / 디코드', queue: '대기', prefill: '프리필', decode: '디코드', first: '첫 토큰',
    more: '{n}개 더', lengths: '최근 1시간의 길이', prompt_lengths: '프롬프트 토큰', output_lengths: '출력 토큰', no_lengths: '최근 1시간 동안 끝난 요청이 없습니다.', settings: '설정', only_changed: '지정한 항목만', no_changed: '모든 설정이 기본값입니다.',
    log: '로그', replicas: '서버', state: '상태', address: '주소', uptime: '가동 시간', cached: '캐시 {n}', model: '모델', ttft_p99: '첫 토큰, p99', pid: '프로세스', seen: '마지막 응답', this: '이 페이지', ago: '{time} 전',
  },
});
