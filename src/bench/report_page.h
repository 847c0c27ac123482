// The fixed parts of the page that html_report() puts together: what a browser needs to draw it.
#pragma once

namespace pagoda {

extern const char* const kReportStyle;  // CSS
extern const char* const
    kReportCharts;  // JavaScript: axes, lines, bars, what shows under the pointer
extern const char* const kReportScript;  // JavaScript: cards, tables and which charts there are

}  // namespace pagoda
