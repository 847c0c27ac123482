// Puts the page together from its fixed parts and the data.
#include "bench/report_html.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "bench/report_data.h"
#include "bench/report_page.h"
#include "bench/results.h"

namespace pagoda {
namespace {

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '&': out += "&amp;"; break;
      case '"': out += "&quot;"; break;
      default: out += c;
    }
  }
  return out;
}

// JSON that may stand in a script element: no text of it can end the element or open a comment.
std::string for_script(const Json& data) {
  std::string out;
  for (const char c : dump_json(data)) {
    if (c == '<') {
      out += "\\u003c";
    } else {
      out += c;
    }
  }
  return out;
}

std::string title_of(const Json& data) {
  const std::string model = data["runs"].empty() ? "" : text_at(data["runs"][0], {"model"});
  return model.empty() ? "Benchmark" : model + " – benchmark";
}

}  // namespace

std::string html_report(const Json& results) {
  const Json data = report_data(results);
  std::string out =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
      "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n";
  out += "<title>" + escaped(title_of(data)) + "</title>\n<style>";
  out += kReportStyle;
  out +=
      "</style>\n</head>\n<body>\n<main id=\"report\"><noscript>This report is drawn by a script "
      "in this file.</noscript></main>\n<script type=\"application/json\" id=\"data\">";
  out += for_script(data);
  out += "</script>\n<script>";
  out += kReportCharts;
  out += kReportScript;
  out += "</script>\n</body>\n</html>\n";
  return out;
}

}  // namespace pagoda
